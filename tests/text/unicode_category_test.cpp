// SPDX-License-Identifier: Apache-2.0
#include <graft/text/unicode_category.hpp>

#include "support/catch.hpp"

using namespace graft::text;

TEST_CASE("code points of every plane have the category that Unicode gives them", "[text]") {
  struct Row {
    char32_t code;
    const char* name;
  };
  for (const Row row :
       {Row{'A', "Lu"},  {'a', "Ll"},     {0x1C5, "Lt"},   {0x2B0, "Lm"},   {0x5D0, "Lo"},    {0x301, "Mn"},
        {0x903, "Mc"},   {0x20DD, "Me"},  {'7', "Nd"},     {0x2167, "Nl"},  {0xBD, "No"},     {'_', "Pc"},
        {'-', "Pd"},     {'(', "Ps"},     {')', "Pe"},     {0xAB, "Pi"},    {0xBB, "Pf"},     {'!', "Po"},
        {'+', "Sm"},     {'$', "Sc"},     {'^', "Sk"},     {0xA9, "So"},    {' ', "Zs"},      {0x2028, "Zl"},
        {0x2029, "Zp"},  {0, "Cc"},       {0x200D, "Cf"},  {0xD800, "Cs"},  {0xE000, "Co"},   {0x378, "Cn"},
        {0x1F44D, "So"}, {0x1D7CE, "Nd"}, {0x20000, "Lo"}, {0xE0100, "Mn"}, {0x10FFFF, "Cn"}, {0x4E2D, "Lo"},
        {0xAC00, "Lo"},  {0xFFFD, "So"},  {0x10FFFD, "Co"}}) {
    INFO(static_cast<unsigned>(row.code) << " " << row.name);
    CHECK(category(row.code) == category_set(row.name).value());
  }
}

TEST_CASE("Unicode 14 has 131,756 letters and 1,791 numbers", "[text]") {
  int letters = 0, numbers = 0;  // counted with Python's unicodedata
  for (char32_t c = 0; c <= 0x10FFFF; ++c) {
    letters += (category(c) & *category_set("L")) != 0;
    numbers += (category(c) & *category_set("N")) != 0;
  }
  CHECK(letters == 131756);
  CHECK(numbers == 1791);
}

TEST_CASE("a name that is no category stands for nothing", "[text]") {
  CHECK(category_set("L") ==
        (*category_set("Lu") | *category_set("Ll") | *category_set("Lt") | *category_set("Lm") | *category_set("Lo")));
  CHECK_FALSE(category_set("Lx"));
  CHECK_FALSE(category_set(""));
  CHECK_FALSE(category_set("uL"));
  CHECK_FALSE(category_set("Greek"));
}
