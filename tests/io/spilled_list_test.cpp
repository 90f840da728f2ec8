// SPDX-License-Identifier: Apache-2.0
#include <graft/io/spilled_list.hpp>

#include <sys/resource.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using test::error_of;
using List = io::SpilledList<std::uint32_t>;

namespace {

/// TMPDIR names another folder while this lives.
class TemporaryFolderIs {
 public:
  explicit TemporaryFolderIs(const std::string& folder) {
    const char* const before = std::getenv("TMPDIR");
    was_set_ = before != nullptr;
    before_ = was_set_ ? before : "";
    ::setenv("TMPDIR", folder.c_str(), 1);
  }
  TemporaryFolderIs(const TemporaryFolderIs&) = delete;
  TemporaryFolderIs& operator=(const TemporaryFolderIs&) = delete;
  ~TemporaryFolderIs() { was_set_ ? ::setenv("TMPDIR", before_.c_str(), 1) : ::unsetenv("TMPDIR"); }

 private:
  bool was_set_ = false;
  std::string before_;
};

List squares(Index count) {
  List list;
  for (Index i = 0; i < count; ++i) {
    list.push_back(static_cast<std::uint32_t>(i * i));
  }
  return list;
}

}  // namespace

TEST_CASE("a list is what was put into it, in memory, on the disk and across the two") {
  constexpr Index block = List::block;
  for (const Index count : {Index{0}, Index{1}, block, block + 1, 2 * block, 3 * block + 17}) {
    const List list = squares(count);
    REQUIRE(list.size() == count);
    Index wrong = 0, at = 0;
    list.for_each([&](std::uint32_t value) {
      wrong += value != static_cast<std::uint32_t>(at * at) || list[at] != value ? 1 : 0;
      ++at;
    });
    CHECK(at == count);
    CHECK(wrong == 0);
  }
  const List list = squares(2 * block + 5);
  for (const Index first : {Index{0}, block - 2, 2 * block - 3, 2 * block + 2}) {
    const std::vector<std::uint32_t> part = list.slice(first, 6);
    REQUIRE(std::ssize(part) == std::min<Index>(6, list.size() - first));
    for (Index i = 0; i < std::ssize(part); ++i) {
      CHECK(part[static_cast<std::size_t>(i)] == static_cast<std::uint32_t>((first + i) * (first + i)));
    }
  }
}

TEST_CASE("entries are replaced and exchanged wherever they lie, and a list moves with its file") {
  constexpr Index block = List::block;
  List list = squares(2 * block + 5);
  list.set(3, 1);
  list.set(2 * block + 4, 2);
  list.swap(3, 2 * block + 4);
  list.swap(block, block);
  list.push_back(7);
  CHECK((list[3] == 2 && list[2 * block + 4] == 1 && list[2 * block + 5] == 7));
  CHECK(list[block] == static_cast<std::uint32_t>(block * block));
  List moved = std::move(list);
  CHECK((moved.size() == 2 * block + 6 && moved[3] == 2));
  moved = {4, 8};
  CHECK((moved.size() == 2 && moved[1] == 8));
}

TEST_CASE("the file has no name, so that nothing is left behind however the process ends") {
  const test::TempFolder folder;
  const TemporaryFolderIs here(folder.path());
  const List list = squares(2 * List::block);
  CHECK(list[5] == 25);
  CHECK(folder.entries() == 0);
}

TEST_CASE("a folder that is not there, and a disk that is full, are an error that names the folder") {
  const test::TempFolder folder;
  CHECK(squares(List::block).size() == List::block);
  {
    const TemporaryFolderIs nowhere(folder.path("absent"));
    CHECK(squares(List::block).size() == List::block);  // a short list needs none
    const Error error = error_of([&] { (void)squares(List::block + 1); });
    CHECK(error.id() == "io.203");
    CHECK(error.where() == folder.path("absent"));
  }
  const TemporaryFolderIs here(folder.path());
  struct rlimit before{};
  ::getrlimit(RLIMIT_FSIZE, &before);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const struct rlimit tight{.rlim_cur = 1000, .rlim_max = before.rlim_max};
  ::setrlimit(RLIMIT_FSIZE, &tight);
  const Error error = error_of([&] { (void)squares(List::block + 1); });
  ::setrlimit(RLIMIT_FSIZE, &before);
  std::signal(SIGXFSZ, handler);
  CHECK(error.id() == "io.203");
  CHECK(error.where() == folder.path());
  CHECK_THAT(error.what(), test::contains("File too large") && test::contains("TMPDIR"));
  CHECK(folder.entries() == 0);
}
