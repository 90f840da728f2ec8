// SPDX-License-Identifier: Apache-2.0
// Network: three linear maps with a ReLU between them. attach() puts graft's adapters on it, Run goes through both.
#pragma once

#include <initializer_list>

#include <graft/adapters/graft_pass.hpp>
#include <graft/adapters/pmss.hpp>
#include <graft/adapters/subspace.hpp>
#include <graft/layers/linear.hpp>

#include "drawings.hpp"

namespace example {

using C = double;
using P = Uniform<C>;
using Backend = backends::Reference;  // plain loops in one order: every machine finds the same numbers
using Full = adapters::Full;
using Pmss = adapters::Pmss<>;
using LoReft = adapters::LoReft<>;

// Modules stand at two places of a layer, for which the library has these words: its linear map, and the rows it gives.
constexpr Sites at_map = site::up, at_rows = site::residual;
using Tuned = Attached<C, Stack<At<at_map, Full>, At<at_map, Pmss>, At<at_rows, LoReft>>>;

constexpr Index depth = 3;
constexpr Index width[] = {side * side, 32, 16, kinds};

struct Network {
  layers::Linear<P, Backend> map[depth];

  explicit Network(Random random) {
    for (Index l = 0; l < depth; ++l) {
      Tensor<C> weight(width[l + 1], width[l]);
      adapters::policies::KaimingUniform::fill(weight.view(), random.child(static_cast<std::uint64_t>(l)));
      map[l] = {Backend::Weight<C>(std::move(weight)), Tensor<C>(1, width[l + 1])};
    }
  }
  /// Reads the weights of `other` where they lie; one that is to be trained is copied then.
  Network(const Network& other) {
    for (Index l = 0; l < depth; ++l) {
      map[l] = {Backend::Weight<C>(other.map[l].weight.view()), other.map[l].bias.clone()};
    }
  }
};

/// Puts a module on each of the layers.
template <adapter A>
[[nodiscard]] Tuned attach(const Backend& be, Network& net, const A& recipe, Sites at,
                           std::initializer_list<Index> layers) {
  Tuned tuned;
  tuned.layers = depth;
  auto& part = std::get<Grafts<A, C>>(tuned.parts);
  part.adapter = recipe;
  part.slots.resize(static_cast<std::size_t>(depth * site::count));
  for (const Index l : layers) {
    auto& map = net.map[l];
    const Place place{l, at, map.outputs(), at == at_map ? map.inputs() : map.outputs(), "layer " + std::to_string(l)};
    part.slots[static_cast<std::size_t>(l * site::count + site_index(at))] = {std::ssize(part.modules), 1};
    if constexpr (std::same_as<A, Full>) {
      part.modules.push_back({{map.weight.writable(), map.bias.view()}, place, Part::both, recipe});
    } else if constexpr (representation_adapter<A>) {
      part.modules.push_back({{recipe, be, place, Random(0)}, place, Part::both, recipe});
    } else {
      part.modules.push_back({{recipe, be, map.weight, place, Random(0)}, place, Part::both, recipe});
    }
  }
  return tuned;
}

/// One batch through the network and what is attached to it, and back.
class Run {
 public:
  /// images(T,side*side) => logits(T,kinds). Adapter 1 is `tuned`, adapter 0 the network alone.
  View<C> forward(const Backend& be, const Network& net, Tuned& tuned, Index adapter, View<const C> images, bool keep) {
    Ragged batch;
    batch.push(images.rows, 0, 0, adapter);  // one sequence: every row is an image, and may be edited
    Tuned* const bank[] = {&tuned};
    grafts_.begin(bank, batch, be.rows_of_block(images.rows), Random(0));
    arena_.measure();  // a dry pass over the same layout
    lay_out(be, images.rows, keep);
    arena_.reserve();
    lay_out(be, images.rows, keep);
    be.copy(images, x_[0].data);
    for (Index l = 0; l < depth; ++l) {
      const auto graft = grafts_.layer(l);
      graft.at(at_map).prepare(be, net.map[l].weight);
      be.for_each_block(images.rows, [&](Block b) {
        const View<C> y = x_[l + 1].at(b);
        net.map[l].forward(be, b, scratch_, graft.at(at_map), x_[l].at(b), y);  // (T,M)(N,M)' -> (T,N)
        graft.at(at_rows).edit(be, b, y);
        if (l + 1 < depth) {
          cut(y, y);
        }
      });
    }
    return x_[depth].data;
  }
  /// After a forward that keeps, and a loss that wrote its gradient over the logits: down to the lowest module.
  void backward(const Backend& be, const Network& net) {
    for (Index l = depth - 1; l >= 0 && grafts_.reach(l); --l) {
      const auto graft = grafts_.layer(l);
      be.for_each_block(x_[l].data.rows, [&](Block b) {
        const View<C> dy = dx_[l + 1].at(b);
        if (l + 1 < depth) {
          cut(x_[l + 1].at(b), dy);
        }
        graft.at(at_rows).edit_vjp(be, b, dy);
        net.map[l].backward(be, b, scratch_, graft.at(at_map), x_[l].at(b), dy, 0,
                            dx_[l].at(b));  // (T,N)(N,M) -> (T,M)
      });
      graft.at(at_rows).edit_gradients(be);
      graft.at(at_map).gradients(be, x_[l], dx_[l + 1]);
    }
  }

 private:
  /// Cuts z to zero where y is not positive: the ReLU of y itself, and the gradient that comes back through it.
  static void cut(View<const C> y, View<C> z) {
    for (Index i = 0; i < z.size(); ++i) {
      z.data[i] = y.data[i] > 0 ? z.data[i] : 0;
    }
  }
  void lay_out(const Backend& be, Index rows, bool keep) {
    scratch_ = layers::LinearScratch<P>::lay_out(arena_, be.block_rows, width[0]);
    grafts_.lay_out_shared(arena_);
    for (Index l = 0; l < depth; ++l) {
      grafts_.lay_out_kept(arena_, l, keep);
      grafts_.lay_out_scratch(arena_, l, keep);
      x_[l] = {arena_.take<C>("rows", rows, width[l])};
      dx_[l] = {arena_.take<C>("gradients", rows, width[l])};
    }
    x_[depth] = dx_[depth] = {arena_.take<C>("logits, then their gradient", rows, width[depth])};
  }

  GraftPass<Tuned> grafts_;
  Arena arena_;
  layers::LinearScratch<P> scratch_;
  Slab<C> x_[depth + 1], dx_[depth + 1];  // (T,width) before the first map and after each, and their gradients
};

}  // namespace example
