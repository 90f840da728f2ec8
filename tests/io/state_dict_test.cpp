// SPDX-License-Identifier: Apache-2.0
#include <graft/io/state_dict.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "support/catch.hpp"
#include "support/files.hpp"

using namespace graft;
using test::contains;
using test::raw;

namespace {

const std::string proto = "\x80\x02";
const std::string new_dict = "ccollections\nOrderedDict\n)R";

std::string pickled_text(const std::string& value) {
  return "X" + raw(static_cast<std::uint32_t>(value.size())) + value;
}

/// A tensor of 2 x 3 floats in storage "0"; `size` and `offset` in instructions.
std::string pickled_tensor(const std::string& size = "K\x02K\x03\x86", const std::string& key = "0",
                           const std::string& numel = "K\x06", const std::string& storage = "torch\nFloatStorage\n") {
  return "ctorch._utils\n_rebuild_tensor_v2\n((" + pickled_text("storage") + "c" + storage + pickled_text(key) +
         pickled_text("cpu") + numel + "tQK" + std::string(1, '\0') + size + "K\x03K\x01\x86\x89" + new_dict + "tR";
}

std::string pickled_dict(const std::string& items) {
  return proto + new_dict + "(" + items + "u.";
}

Error state_dict_error(const std::string& pickle) {
  return test::error_of([&] { (void)io::read_state_dict(pickle, "a.bin"); });
}

}  // namespace

TEST_CASE("a dict of tensors is read as names, storages, shapes and strides") {
  const auto tensors = io::read_state_dict(
      pickled_dict(pickled_text("w") + pickled_tensor() + pickled_text("b") +
                   pickled_tensor("J" + raw(std::int32_t{1}) + "\x8a\x02" + raw(std::uint16_t{300}) + "\x86", "12",
                                  "M" + raw(std::uint16_t{300}), "torch\nBFloat16Storage\n")),
      "a.bin");
  REQUIRE(tensors.size() == 2);
  CHECK((tensors[0].name == "w" && tensors[0].dtype == io::Dtype::f32 && tensors[0].storage == "0"));
  CHECK((tensors[0].numel == 6 && tensors[0].offset == 0));
  CHECK(tensors[0].shape == std::vector<Index>{2, 3});
  CHECK(tensors[0].strides == std::vector<Index>{3, 1});
  CHECK((tensors[1].dtype == io::Dtype::bf16 && tensors[1].storage == "12" && tensors[1].numel == 300));
  CHECK(tensors[1].shape == std::vector<Index>{1, 300});
  CHECK(io::read_state_dict(proto + "}.", "a.bin").empty());
}

TEST_CASE("values come back from the memo, and the versions of modules are passed over") {
  const std::string metadata = "}" + pickled_text("_metadata") + new_dict + "(" + pickled_text("") + "}" +
                               pickled_text("version") + "K\x01s" + "usb";
  const auto tensors = io::read_state_dict(
      proto + "ccollections\nOrderedDict\nq\x07)Rr" + raw(std::uint32_t{300}) + "(" + pickled_text("w") +
          pickled_tensor() + "q\x01" + pickled_text("v") + "h\x01u" + "j" + raw(std::uint32_t{300}) + metadata + ".",
      "a.bin");
  REQUIRE(tensors.size() == 2);
  CHECK(tensors[1].name == "v");
  CHECK(tensors[1].storage == "0");
}

TEST_CASE("a name that tensors do not need is refused by that name, and nothing is run") {
  const Error error = state_dict_error(proto + "cposix\nsystem\n(" + pickled_text("touch /tmp/owned") + "tR.");
  CHECK(error.id() == "io.262");
  CHECK_THAT(error.what(), contains("posix system") && contains("nothing of the file was run") && contains("a.bin"));
  CHECK(state_dict_error(pickled_dict(pickled_text("w") + "cbuiltins\neval\n")).id() == "io.262");
  CHECK(state_dict_error(
            pickled_dict(pickled_text("w") + pickled_tensor("K\x02K\x03\x86", "0", "K\x06", "torch\nQInt8Storage\n")))
            .id() == "io.262");
  CHECK(state_dict_error(proto + "ctorch._utils\n_rebuild_parameter\n.").id() == "io.262");
}

TEST_CASE("an instruction that a dict of tensors does not need is refused by its number") {
  for (const char code : {'i', 'o', 'G', '\x81', '\x8c', '\x93', 'P', 'F', 'd', 'l', ']', 'a', 'e', '\x82', '0', '2'}) {
    const Error error = state_dict_error(proto + std::string(1, code));
    INFO(static_cast<int>(static_cast<unsigned char>(code)));
    CHECK(error.id() == "io.263");
    CHECK_THAT(error.what(), contains(std::to_string(static_cast<unsigned char>(code))));
  }
  CHECK_THAT(state_dict_error("\x80\x04.").what(), contains("io.263") && contains("protocol 4"));
}

TEST_CASE("a pickle that is cut anywhere is one error") {
  const std::string whole = pickled_dict(pickled_text("w") + pickled_tensor());
  CHECK(state_dict_error(whole).id() == "none");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    CHECK(state_dict_error(whole.substr(0, size)).id() == "io.264");
  }
}

TEST_CASE("what is no dict of tensors is io.264, however it is put together") {
  const std::string w = pickled_text("w");
  for (const std::string& pickle : {
           proto + ".",                                                             // nothing
           proto + "K\x01.",                                                        // a number
           pickled_dict(w + "K\x01"),                                               // a number as tensor
           pickled_dict("K\x01" + pickled_tensor()),                                // a number as name
           pickled_dict(w),                                                         // a key without value
           pickled_dict(w + pickled_tensor() + w + pickled_tensor()),               // twice
           pickled_dict(w + pickled_tensor("K\x02")),                               // a shape that is no tuple
           pickled_dict(w + pickled_tensor(w + "K\x03\x86")),                       // a text in the shape
           pickled_dict(w + pickled_tensor("K\x02K\x03\x86", "../../etc/passwd")),  // a storage that is a path
           pickled_dict(w + pickled_tensor("K\x02K\x03\x86", "")),
           pickled_dict(w + pickled_tensor("K\x02K\x03\x86", "0", "\x89")),
           pickled_dict(w + pickled_tensor("K\x02K\x03\x86", "0", "K\x06", "collections\nOrderedDict\n")),
           proto + "h\x05.",                                       // never stored
           proto + "q\x01.",                                       // nothing to store
           proto + "r" + raw(~std::uint32_t{0}) + ".",             // nor there
           proto + "}r" + raw(std::uint32_t{1} << 30) + ".",       // memory that nobody needs
           proto + "t.",                                           // no mark
           proto + "\x85.",                                        // nothing to wrap
           proto + "ctorch\nFloatStorage\n)R.",                    // a type is not called
           proto + "ccollections\nOrderedDict\n(K\x01tR.",         // a dict of something
           proto + "ctorch._utils\n_rebuild_tensor_v2\n)R.",       // a tensor of nothing
           proto + "K\x01Q.",                                      // a storage of a number
           proto + "}" + "}" + w + "K\x01s" + "b.",                // a state that would set something
           proto + "K\x01}" + pickled_text("_metadata") + "}sb.",  // on what has none
           proto + "\x8a\x09" + std::string(9, '\x01') + ".",      // a number of nine bytes
           std::string((1 << 20) + 1, ')'),                        // more than any dict needs
       }) {
    CHECK(state_dict_error(pickle).id() == "io.264");
  }
}

TEST_CASE("what is written is read again, numbers beyond 2^31 included") {
  const std::vector<float> numbers(12);
  const auto bytes = reinterpret_cast<const std::byte*>(numbers.data());
  const std::vector<io::TensorRef> refs = {{"weight", io::Dtype::f32, {3, 4}, bytes, 48, {}},
                                           {"embed_dim", io::Dtype::i64, {}, bytes, 8, {}},
                                           {"long", io::Dtype::f16, {Index{1} << 32}, bytes, std::size_t{1} << 33, {}}};
  const auto tensors = io::read_state_dict(io::write_state_dict(refs, "a.bin"), "a.bin");
  REQUIRE(tensors.size() == 3);
  CHECK((tensors[0].name == "weight" && tensors[0].strides == std::vector<Index>{4, 1} && tensors[0].numel == 12));
  CHECK((tensors[1].storage == "1" && tensors[1].shape.empty() && tensors[1].numel == 1));
  CHECK((tensors[2].dtype == io::Dtype::f16 && tensors[2].shape == std::vector<Index>{Index{1} << 32}));
}

TEST_CASE("a tensor that torch has no storage for is not written") {
  const std::string zeros(34, '\0');
  const auto bytes = reinterpret_cast<const std::byte*>(zeros.data());
  for (const io::TensorRef& tensor :
       {io::TensorRef{"q", io::Dtype::q8_0, {32}, bytes, 34, {}}, io::TensorRef{"i", io::Dtype::i32, {2}, bytes, 8, {}},
        io::TensorRef{"short", io::Dtype::f32, {2, 2}, bytes, 12, {}}}) {
    const Error error = test::error_of([&] { (void)io::write_state_dict(std::span(&tensor, 1), "a.bin"); });
    CHECK(error.id() == "io.266");
    CHECK(test::says(error, "\"" + tensor.name + "\""));
  }
}
