// SPDX-License-Identifier: Apache-2.0
// state_dict: the pickle in which torch.save describes named tensors, read as data and written. Nothing is ever executed.
//
// Protocol 2, and of it only what a dict of tensors needs: the seven names of `globals`, texts, integers, tuples, dicts. A
// tensor is _rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks), its storage the persistent id
// ("storage", TYPE, key, place, numel); offset and strides count elements. Source: Python's pickletools, torch/_utils.py.
#pragma once

#include <algorithm>  // max
#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>  // move
#include <vector>

#include <graft/base/require.hpp>
#include <graft/io/dtype.hpp>
#include <graft/io/tensor_ref.hpp>

namespace graft::io {

/// A tensor as the pickle describes it: elements of a storage, not yet held against that storage's bytes.
struct PickledTensor {
  std::string name;            ///< its key in the dict
  Dtype dtype = Dtype::f32;    ///< of the storage
  std::string storage;         ///< the storage's key: digits
  Index numel = 0;             ///< elements of the storage
  Index offset = 0;            ///< element of the storage at which the tensor begins
  std::vector<Index> shape;    ///< slowest extent first
  std::vector<Index> strides;  ///< elements from one index to the next, for each extent
};

namespace detail {

/// What the pickle names: all that may stand in it.
struct PickleGlobal {
  std::string_view name;       // module and name, with a space between
  std::optional<Dtype> dtype;  // of a storage
};
inline constexpr std::string_view ordered_dict = "collections OrderedDict";
inline constexpr std::string_view rebuild_tensor = "torch._utils _rebuild_tensor_v2";
inline constexpr std::array<PickleGlobal, 7> pickle_globals = {{{ordered_dict, std::nullopt},
                                                                {rebuild_tensor, std::nullopt},
                                                                {"torch FloatStorage", Dtype::f32},
                                                                {"torch DoubleStorage", Dtype::f64},
                                                                {"torch HalfStorage", Dtype::f16},
                                                                {"torch BFloat16Storage", Dtype::bf16},
                                                                {"torch LongStorage", Dtype::i64}}};

/// The stack machine of the subset: values are nodes of one list, and refer to each other by their place in it.
class StateDictReader {
 public:
  StateDictReader(std::string_view pickle, std::string where) : rest_(pickle), where_(std::move(where)) {}

  [[nodiscard]] std::vector<PickledTensor> read() {
    if (rest_.size() > largest) {
      malformed("it has " + std::to_string(rest_.size()) + " bytes, expected at most " + std::to_string(largest));
    }
    while (step(take(1)[0])) {
    }
    std::vector<PickledTensor> tensors;
    std::set<std::string> names;
    const Node& root = top(Kind::dict, "a dict of tensors");
    for (std::size_t i = 0; i < root.items.size(); i += 2) {
      tensors.push_back(tensor(root.items[i], root.items[i + 1]));
      if (!names.insert(tensors.back().name).second) {
        malformed("tensor \"" + tensors.back().name + "\" stands twice");
      }
    }
    return tensors;
  }

 private:
  static constexpr std::size_t largest = 1 << 20;  // a dict of a thousand tensors takes a tenth of it

  enum class Kind { mark, text, integer, boolean, tuple, dict, global, storage, tensor };
  struct Node {
    Kind kind;
    std::string_view text{};           // of a text, in the pickle
    Index number = 0;                  // of an integer; the place of a global in the table
    std::vector<std::size_t> items{};  // of a tuple; key, value, ... of a dict; what a storage or tensor was made of
  };

  [[noreturn]] void malformed(const std::string& what) const {
    fail("io.264", "the pickle is not that of a dict of tensors: " + what, where_);
  }
  [[nodiscard]] std::string_view take(std::size_t count) {
    if (count > rest_.size()) {
      malformed("it is cut");
    }
    const std::string_view taken = rest_.substr(0, count);
    rest_.remove_prefix(count);
    return taken;
  }
  template <class T>
  [[nodiscard]] T number() {
    return load<T>(reinterpret_cast<const std::byte*>(take(sizeof(T)).data()));
  }
  [[nodiscard]] std::string_view line() {
    const std::string_view found = take(rest_.find('\n') == rest_.npos ? rest_.size() + 1 : rest_.find('\n'));
    rest_.remove_prefix(1);
    return found;
  }

  void push(Node node) {
    stack_.push_back(nodes_.size());
    nodes_.push_back(std::move(node));
  }
  [[nodiscard]] std::size_t pop() {
    if (stack_.empty()) {
      malformed("a value is missing");
    }
    const std::size_t place = stack_.back();
    stack_.pop_back();
    return place;
  }
  [[nodiscard]] const Node& as(std::size_t place, Kind kind, const char* expected) const {
    if (nodes_[place].kind != kind) {
      malformed("something else stands where " + std::string(expected) + " was expected");
    }
    return nodes_[place];
  }
  [[nodiscard]] Node& top(Kind kind, const char* expected) {
    if (stack_.empty()) {
      malformed("a value is missing");
    }
    (void)as(stack_.back(), kind, expected);
    return nodes_[stack_.back()];
  }
  /// The values above the last mark, which goes too.
  [[nodiscard]] std::vector<std::size_t> since_mark() {
    std::size_t first = stack_.size();
    while (first > 0 && nodes_[stack_[first - 1]].kind != Kind::mark) {
      --first;
    }
    if (first == 0) {
      malformed("a mark is missing");
    }
    std::vector<std::size_t> items(stack_.begin() + static_cast<std::ptrdiff_t>(first), stack_.end());
    stack_.resize(first - 1);
    return items;
  }
  void push_tuple(std::size_t count) {
    std::vector<std::size_t> items(count);
    for (std::size_t i = count; i > 0; --i) {
      items[i - 1] = pop();
    }
    push({Kind::tuple, {}, 0, std::move(items)});
  }
  void put(std::size_t key) {
    if (key > largest || stack_.empty()) {
      malformed("a value is missing");
    }
    memo_.resize(std::max(memo_.size(), key + 1), nowhere);
    memo_[key] = stack_.back();
  }
  void get(std::size_t key) {
    if (key >= memo_.size() || memo_[key] == nowhere) {
      malformed("value " + std::to_string(key) + " is used before it is stored");
    }
    stack_.push_back(memo_[key]);
  }
  void push_global() {
    std::string name(line());
    name += " ";
    name += line();
    for (std::size_t i = 0; i < pickle_globals.size(); ++i) {
      if (pickle_globals[i].name == name) {
        return push({Kind::global, {}, static_cast<Index>(i), {}});
      }
    }
    fail("io.262",
         "the pickle asks for \"" + name.substr(0, 80) +
             "\", which a dict of tensors does not need; nothing of the file was run, and nothing of it is taken",
         where_);
  }
  void reduce() {
    const std::size_t arguments = pop();
    const std::size_t callee = pop();
    const std::vector<std::size_t> items = as(arguments, Kind::tuple, "a tuple of arguments").items;
    const std::string_view name = global(callee).name;
    if (name == ordered_dict && items.empty()) {
      push({Kind::dict, {}, 0, {}});
    } else if (name == rebuild_tensor && (items.size() == 6 || items.size() == 7)) {
      push({Kind::tensor, {}, 0, items});
    } else {
      malformed("\"" + std::string(name) + "\" is called with " + std::to_string(items.size()) + " arguments");
    }
  }
  void set_items(const std::vector<std::size_t>& items) {
    if (items.size() % 2 != 0) {
      malformed("a key has no value");
    }
    auto& dict = top(Kind::dict, "a dict").items;
    dict.insert(dict.end(), items.begin(), items.end());
  }
  /// The state of a dict is module versions ("_metadata"), which say nothing about the tensors.
  void build() {
    const Node& state = as(pop(), Kind::dict, "the state of a dict");
    if (state.items.size() != 2 || text(state.items[0]) != "_metadata") {
      malformed("a dict has a state other than _metadata");
    }
    (void)top(Kind::dict, "a dict");
  }

  /// Runs one instruction; false at the last.
  [[nodiscard]] bool step(char code) {
    switch (static_cast<unsigned char>(code)) {
      case 0x80:
        if (const auto version = number<std::uint8_t>(); version != 2) {
          fail("io.263", "the pickle is of protocol " + std::to_string(version) + ", expected 2", where_);
        }
        break;
      case 'c': push_global(); break;
      case 'q': put(number<std::uint8_t>()); break;
      case 'r': put(number<std::uint32_t>()); break;
      case 'h': get(number<std::uint8_t>()); break;
      case 'j': get(number<std::uint32_t>()); break;
      case '(': push({Kind::mark}); break;
      case 'X': push({Kind::text, take(number<std::uint32_t>())}); break;
      case 'K': push({Kind::integer, {}, number<std::uint8_t>()}); break;
      case 'M': push({Kind::integer, {}, number<std::uint16_t>()}); break;
      case 'J': push({Kind::integer, {}, number<std::int32_t>()}); break;
      case 0x8a: push({Kind::integer, {}, long_integer()}); break;
      case 0x88: push({Kind::boolean, {}, 1}); break;
      case 0x89: push({Kind::boolean, {}, 0}); break;
      case ')': push_tuple(0); break;
      case 0x85: push_tuple(1); break;
      case 0x86: push_tuple(2); break;
      case 0x87: push_tuple(3); break;
      case 't': push({Kind::tuple, {}, 0, since_mark()}); break;
      case '}': push({Kind::dict}); break;
      case 's': {
        const std::size_t value = pop();
        const std::size_t key = pop();
        set_items({key, value});
        break;
      }
      case 'u': set_items(since_mark()); break;
      case 'Q': push({Kind::storage, {}, 0, as(pop(), Kind::tuple, "a storage").items}); break;
      case 'R': reduce(); break;
      case 'b': build(); break;
      case '.': return false;
      default:
        fail("io.263",
             "the pickle holds instruction " + std::to_string(static_cast<unsigned char>(code)) +
                 ", which a dict of tensors does not need; nothing of the file was run, and nothing of it is taken",
             where_);
    }
    return true;
  }
  /// LONG1: at most eight bytes, the last of which has the sign.
  [[nodiscard]] Index long_integer() {
    const std::string_view bytes = take(number<std::uint8_t>());
    if (bytes.size() > sizeof(Index)) {
      malformed("a number is absurd");
    }
    const bool negative = !bytes.empty() && (bytes.back() & 0x80) != 0;
    std::string whole(sizeof(Index), negative ? '\xff' : '\0');
    bytes.copy(whole.data(), bytes.size());
    return load<Index>(reinterpret_cast<const std::byte*>(whole.data()));
  }

  [[nodiscard]] std::string_view text(std::size_t place) const { return as(place, Kind::text, "a text").text; }
  [[nodiscard]] Index integer(std::size_t place) const { return as(place, Kind::integer, "a number").number; }
  [[nodiscard]] const PickleGlobal& global(std::size_t place) const {
    return pickle_globals[static_cast<std::size_t>(as(place, Kind::global, "a name").number)];
  }
  [[nodiscard]] std::vector<Index> integers(std::size_t place) const {
    std::vector<Index> all;
    for (const std::size_t item : as(place, Kind::tuple, "a tuple of numbers").items) {
      all.push_back(integer(item));
    }
    return all;
  }
  [[nodiscard]] PickledTensor tensor(std::size_t key, std::size_t value) const {
    const std::vector<std::size_t>& made_of = as(value, Kind::tensor, "a tensor").items;
    const std::vector<std::size_t>& storage = as(made_of[0], Kind::storage, "a storage").items;
    if (storage.size() != 5 || text(storage[0]) != "storage" || !global(storage[1]).dtype) {
      malformed("a tensor has no storage");
    }
    const std::string stored(text(storage[2]));
    if (stored.empty() || stored.size() > 9 || stored.find_first_not_of("0123456789") != stored.npos) {
      malformed("storage \"" + stored.substr(0, 80) + "\" is no number");
    }
    (void)text(storage[3]);  // where it was: "cpu", "cuda:0"
    (void)as(made_of[4], Kind::boolean, "requires_grad");
    (void)as(made_of[5], Kind::dict, "hooks");
    return {std::string(text(key)), *global(storage[1]).dtype, stored, integer(storage[4]), integer(made_of[1]),
            integers(made_of[2]),   integers(made_of[3])};
  }

  static constexpr auto nowhere = static_cast<std::size_t>(-1);
  std::string_view rest_;
  std::string where_;
  std::vector<Node> nodes_;
  std::vector<std::size_t> stack_;
  std::vector<std::size_t> memo_;
};

}  // namespace detail

/// The tensors that a pickle describes. A name that tensors do not need is io.262, an instruction io.263, anything else
/// that is not a dict of tensors io.264.
[[nodiscard]] inline std::vector<PickledTensor> read_state_dict(std::string_view pickle, const std::string& where) {
  return detail::StateDictReader(pickle, where).read();
}

/// The pickle of an OrderedDict of contiguous tensors, each with a storage of its own: the i-th has key "i". A dtype that
/// torch has no storage for here, or a name that stands twice, is io.266.
[[nodiscard]] inline std::string write_state_dict(std::span<const TensorRef> tensors, const std::string& where) {
  const auto bytes = [](auto value) {
    return std::string(reinterpret_cast<const char*>(&value),
                       sizeof value);  // little-endian, as tensor_ref.hpp asserts
  };
  const auto text = [&](std::string_view value) {
    return "X" + bytes(static_cast<std::uint32_t>(value.size())) + std::string(value);
  };
  const auto integer = [&](Index value) { return "\x8a\x08" + bytes(static_cast<std::int64_t>(value)); };
  const auto global = [](std::string_view name) {
    std::string lines = "c" + std::string(name) + "\n";
    lines[lines.find(' ')] = '\n';
    return lines;
  };
  const std::string empty_dict = global(detail::ordered_dict) + ")R";
  std::string pickle = "\x80\x02" + empty_dict + "(";
  std::set<std::string> names;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    const TensorRef& tensor = tensors[i];
    std::string_view storage;
    for (const detail::PickleGlobal& known : detail::pickle_globals) {
      storage = known.dtype == tensor.dtype ? known.name : storage;
    }
    if (storage.empty() || byte_count(tensor.dtype, tensor.shape) != tensor.bytes || tensor.pair_heads > 0 ||
        !names.insert(tensor.name).second) {
      fail("io.266",
           "tensor \"" + tensor.name + "\" cannot be written: its name, dtype or size has no place in the format",
           where);
    }
    std::string size;
    std::string stride;
    Index step = 1;
    for (std::size_t d = tensor.shape.size(); d > 0; --d) {
      size = integer(tensor.shape[d - 1]) + size;
      stride = integer(step) + stride;
      step *= tensor.shape[d - 1];
    }
    pickle += text(tensor.name) + global(detail::rebuild_tensor) + "((" + text("storage") + global(storage) +
              text(std::to_string(i)) + text("cpu") + integer(tensor.rows() * tensor.cols()) + "tQ" + integer(0) + "(" +
              size + "t(" + stride + "t\x89" + empty_dict + "tR";
  }
  return pickle + "u.";
}

}  // namespace graft::io
