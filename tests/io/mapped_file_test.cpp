// SPDX-License-Identifier: Apache-2.0
#include <graft/io/mapped_file.hpp>

#include <utility>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using test::contains;
using test::error_of;

TEST_CASE("a mapped file shows the bytes of the file, and none for an empty one") {
  const test::TempFolder folder;
  CHECK(io::MappedFile::open(folder.write("a", "three"))->text() == "three");
  CHECK(io::MappedFile::open(folder.write("b", ""))->bytes().empty());
}

TEST_CASE("a mapping that moves takes its bytes along") {
  const test::TempFolder folder;
  io::MappedFile first(folder.write("a", "first"));
  io::MappedFile second(folder.write("b", "second"));
  const auto* address = first.bytes().data();
  second = std::move(first);
  const io::MappedFile third(std::move(second));
  CHECK(third.text() == "first");
  CHECK(third.bytes().data() == address);
  CHECK(third.path() == folder.path("a"));
}

TEST_CASE("an absent file, a folder and a forbidden file are io.201 with the system's reason") {
  const test::TempFolder folder;
  const auto failure = [](const std::string& path) { return error_of([&] { (void)io::MappedFile::open(path); }); };
  CHECK(failure(folder.path("absent")).id() == "io.201");
  CHECK_THAT(failure(folder.path("absent")).what(), contains("No such file") && contains(folder.path("absent")));
  CHECK_THAT(failure(folder.path()).what(), contains("io.201") && contains("Is a directory"));
}
