// expect: count_trainable: the adapter lacks trained\(place\), the number of scalars a module trains there
// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/lora.hpp>
#include <graft/models/count_trainable.hpp>

struct Uncounted {
  static constexpr std::string_view name = "uncounted";
  template <graft::scalar T>
  using Module = graft::adapters::Lora<>::Module<T>;
};
graft::Index count = graft::models::count_trainable({}, graft::Stack{graft::At<graft::site::query, Uncounted>{}});
