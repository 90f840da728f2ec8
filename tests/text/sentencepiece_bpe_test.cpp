// SPDX-License-Identifier: Apache-2.0
#include <graft/text/sentencepiece_bpe.hpp>

#include <graft/text/merge_rules.hpp>

#include "support/catch.hpp"

using namespace graft::text;

namespace {

using Ids = std::vector<std::int32_t>;

Ids encode(const Vocabulary& vocabulary, const MergeList& merges, SentencePieceBpe::Options options,
           const std::string& text, bool first = true) {
  Ids ids;
  SentencePieceBpe(vocabulary, merges_by_rank(vocabulary, merges, "test"), options).encode(text, first, ids);
  return ids;
}

const Vocabulary small_vocabulary(
    {{"<unk>", 0}, {"\u2581", 1}, {"a", 2}, {"\u2581a", 3}, {"a\u2581", 4}, {"<0xC3>", 5}, {"<0xA9>", 6}}, "test");

}  // namespace

TEST_CASE("an unknown character becomes its bytes, or the unknown token where a byte has none", "[text]") {
  SentencePieceBpe::Options options;
  options.unknown = 0;
  CHECK(encode(small_vocabulary, {}, options, "a\u00E9") == Ids{2, 5, 6});
  CHECK(encode(small_vocabulary, {}, options, "xxax") == Ids{0, 2, 0});
  CHECK(encode(small_vocabulary, {}, options, "\xC3") == Ids{5});
  options.fuse_unknown = false;
  CHECK(encode(small_vocabulary, {}, options, "xx") == Ids{0, 0});
  options.byte_fallback = false;
  CHECK(encode(small_vocabulary, {}, options, "\u00E9") == Ids{0});
  options.unknown = -1;
  CHECK_THROWS_WITH(encode(small_vocabulary, {}, options, "\u00E9"), graft::test::contains("text.312"));
}

TEST_CASE("a piece with a mark inside keeps words together", "[text]") {
  // Ranks join a and the mark behind it before the mark and the a behind it.
  CHECK(encode(small_vocabulary, {{"a", "\u2581"}, {"\u2581", "a"}}, {},
               "a\u2581"
               "a") == Ids{4, 2});
}

TEST_CASE("Metaspace puts a mark first never, always or at the start of the text, but not before a mark", "[text]") {
  using Prepend = Metaspace::Prepend;
  SentencePieceBpe::Options options;
  const auto with = [&](Prepend prepend, bool split, const std::string& text, bool first) {
    options.metaspace = Metaspace{prepend, split};
    return encode(small_vocabulary, {{"\u2581", "a"}, {"a", "\u2581"}}, options, text, first);
  };
  CHECK(with(Prepend::never, false, "a a", true) == Ids{2, 3});
  CHECK(with(Prepend::always, false, "a a", false) == Ids{3, 3});
  CHECK(with(Prepend::first, false, "a", true) == Ids{3});
  CHECK(with(Prepend::first, false, "a", false) == Ids{2});
  CHECK(with(Prepend::always, false, " a", true) == Ids{3});
  CHECK(with(Prepend::never, true, "aa ", true) == Ids{2, 2, 1});
  CHECK(with(Prepend::never, false, "aa ", true) == Ids{2, 4});
}

TEST_CASE("only six characters of hexadecimal shape spell a byte", "[text]") {
  CHECK(byte_token("<0xfF>") == 255);
  for (const char* other : {"<0xFG>", "<0xF>", "0xFF", "<0xFFF>", "<1xFF>", "<0xFF)"}) {
    CHECK_FALSE(byte_token(other));
  }
  CHECK(replace_all("a--b---", "--", "+") == "a+b+-");
}
