// SPDX-License-Identifier: Apache-2.0
// What every adapter must prove (architecture.md, last section), on a whole tiny model. A new adapter runs it in one line:
//
//   test::adapter_contract(Stack{At<site::linear, adapters::Lora<>>{{.rank = 2}}}, {.trained = 704});
//
// Files have their own suite (tests/models/adapter_directory_test.cpp), for they are the same for all.
#pragma once

#include <complex>
#include <map>
#include <string>
#include <vector>

#include <graft/models/attach.hpp>
#include <graft/models/count_trainable.hpp>
#include <graft/models/folded_edit.hpp>
#include <graft/models/llama_run.hpp>

#include "support/catch.hpp"
#include "support/complex_step.hpp"
#include "support/tiny_llama.hpp"

namespace graft::test {

/// What a method says of itself.
struct Promises {
  bool starts_as_identity = true;
  Index trained = 0;  // the paper's arithmetic, on smallest_config()
};

/// A tiny model with `stack` attached, and the embedding beside it: its gradient is the one that leaves the model below.
template <class T, class B, class StackType>
class Bench;
template <class T, class B, class... Ats>
class Bench<T, B, Stack<Ats...>> {
 public:
  using Model = models::Llama<Uniform<T>, B>;
  using Whole = Stack<Ats..., At<site::embedding, adapters::Full>>;
  using AttachedType = Attached<T, Whole>;

  B be;
  Model model;
  AttachedType attached;
  models::LlamaRun<Model, AttachedType> run;
  bool recompute = false;

  Bench(const models::LlamaConfig& config, const Stack<Ats...>& stack, bool embedding, B backend = {})
      : be(backend),
        model(tiny_llama<Uniform<T>, B>(config, 1)),
        attached(attach(be, model, whole(stack, embedding), 1)) {}

  [[nodiscard]] static Whole whole(const Stack<Ats...>& stack, bool embedding) {
    At<site::embedding, adapters::Full> below;
    below.placement.sites = embedding ? site::embedding : site::none;
    Whole all;
    all.parts = std::tuple_cat(stack.parts, std::tuple(below));
    return all;
  }
  /// Moves every parameter of the adapters away from its start; the same for every scalar.
  void disturb(std::uint64_t seed) { disturb(attached, seed); }
  static void disturb(AttachedType& some, std::uint64_t seed) {
    std::uint64_t number = 0;
    some.for_each_parameter([&](const std::string& name, Parameter<T>& p) {
      if (name.find(".full.") != std::string::npos) {
        return;
      }
      const Random random = Random(seed).child(number++);
      for (Index i = 0; i < p.size(); ++i) {
        const auto step = static_cast<float>(0.2 * random.normal(static_cast<std::uint64_t>(i)));
        p.value(i / p.value.cols, i % p.value.cols) += T(static_cast<real_type<T>>(step));
      }
    });
  }
  /// tiny_batch with the placeholders that the adapters fill; without an adapter they are tokens.
  [[nodiscard]] train::Batch batch(std::vector<TinySequence> sequences, std::uint64_t seed) const {
    for (TinySequence& s : sequences) {
      s.inserted = attached.inserted();
    }
    return tiny_batch(model.config, sequences, seed);
  }
  /// Mean nll of the labelled rows; imaginary parts survive.
  T loss(const train::Batch& batch, std::vector<AttachedType*> bank = {}, bool keep = false) {
    forward(batch, std::move(bank), keep);
    (void)run.loss(be, model, batch.rows, batch.targets);
    T sum{};
    for (Index i = 0; i < batch.labelled(); ++i) {
      sum += run.row_nll()(i, 0);
    }
    return sum * mean(batch);
  }
  void forward(const train::Batch& batch, std::vector<AttachedType*> bank, bool keep) {
    if (bank.empty()) {
      bank = {&attached};
    }
    run.forward(be, model, bank, batch.ragged, batch.tokens, batch.labelled(),
                {.keep = keep, .recompute = recompute, .dropout = Random(9)});
  }
  /// Sets the gradients of everything in the bank to those of sum of nll * scale (0: the mean).
  void differentiate(const train::Batch& batch, std::vector<AttachedType*> bank = {}, T scale = {}) {
    if (bank.empty()) {
      bank = {&attached};
    }
    for (AttachedType* some : bank) {
      some->for_each_parameter([&](const std::string&, Parameter<T>& p) { be.fill(0, p.gradient.view()); });
    }
    forward(batch, bank, true);
    (void)run.loss(be, model, batch.rows, batch.targets, scale == T{} ? mean(batch) : scale);
    run.backward(be, model);
  }
  [[nodiscard]] static T mean(const train::Batch& batch) {
    return T(static_cast<real_type<T>>(1.0 / static_cast<double>(batch.labelled())));
  }
  [[nodiscard]] Tensor<T> hidden() const {
    Tensor<T> copy(run.hidden().rows, run.hidden().cols);
    be.copy(run.hidden(), copy.view());
    return copy;
  }
  [[nodiscard]] static Tensor<T> copied(View<const T> x) {
    Tensor<T> copy(x.rows, x.cols);
    for (Index i = 0; i < x.rows; ++i) {
      for (Index j = 0; j < x.cols; ++j) {
        copy(i, j) = x(i, j);
      }
    }
    return copy;
  }
  [[nodiscard]] static std::vector<Tensor<T>> gradients(AttachedType& some) {
    std::vector<Tensor<T>> all;
    some.for_each_parameter([&](const std::string&, Parameter<T>& p) { all.push_back(p.gradient.clone()); });
    return all;
  }
};

namespace detail {

template <class... Ats>
using ComplexBench = Bench<Complex, backends::Reference, Stack<Ats...>>;

/// One token; one longer than the window; one in between, with a prompt of its own.
inline const std::vector<TinySequence> ragged = {{5, 4}, {1, 1}, {9, 6}, {6, 3}};

template <class A>
concept has_dropout = requires(A recipe) { recipe.dropout; };

template <class Visitor, class... Ats>
Stack<Ats...> changed(Stack<Ats...> stack, Visitor&& visit) {
  std::apply([&](auto&... at) { (visit(at), ...); }, stack.parts);
  return stack;
}

template <class BenchType>
void check_every_entry(BenchType& bench, const train::Batch& batch) {
  bench.differentiate(batch);
  const auto f = [&] { return bench.loss(batch); };
  bench.attached.for_each_parameter([&](const std::string& name, Parameter<Complex>& p) {
    INFO(name);
    const Tensor<Complex> gradient = p.gradient.clone();
    check_gradient(f, p.value, gradient.view());
  });
}

template <class BenchType>
void check_directions(BenchType& bench, const train::Batch& batch, int count, bool keep = false) {
  bench.differentiate(batch);
  const auto f = [&] { return bench.loss(batch, {}, keep); };
  const auto gradients = BenchType::gradients(bench.attached);
  std::vector<Differentiated> parts;
  bench.attached.for_each_parameter(
      [&](const std::string&, Parameter<Complex>& p) { parts.push_back({p.value, gradients[parts.size()].view()}); });
  std::vector<std::uint64_t> seeds;
  for (int i = 0; i < count; ++i) {
    seeds.push_back(static_cast<std::uint64_t>(100 + i));
  }
  check_direction(f, parts, seeds);
}

template <class T>
void check_equal(const std::vector<Tensor<T>>& found, const std::vector<Tensor<T>>& expected, double tolerance) {
  REQUIRE(found.size() == expected.size());
  for (std::size_t i = 0; i < found.size(); ++i) {
    CAPTURE(i);
    CHECK(relative_error(found[i].view(), expected[i].view()) < tolerance);
  }
}

}  // namespace detail

/// The gradient of every parameter, and of what enters the model, equals the complex step.
template <class... Ats>
void check_gradients_by_complex_step(const Stack<Ats...>& stack) {
  for (const Index block_rows : {Index{5}, Index{128}}) {
    CAPTURE(block_rows);
    const backends::Reference be{.block_rows = block_rows};
    {
      detail::ComplexBench<Ats...> bench(smallest_config(), stack, true, be);
      bench.disturb(2);
      detail::check_every_entry(bench, bench.batch({{2, 2}, {1, 1}, {5, 4}}, 3));
    }
    detail::ComplexBench<Ats...> bench(small_config(), stack, true, be);
    bench.disturb(2);
    detail::check_directions(bench, bench.batch(detail::ragged, 3), 16);
  }
  // without the embedding the backward stops at the lowest graft, and what is above it must not notice
  const auto upper = detail::changed(stack, [](auto& at) {
    if constexpr (!inserting_adapter<std::remove_cvref_t<decltype(at.adapter)>>) {
      at.placement.layers = only_layers({1});
    }
  });
  detail::ComplexBench<Ats...> bench(small_config(), upper, false);
  bench.disturb(2);
  detail::check_directions(bench, bench.batch(detail::ragged, 3), 4);
}

/// Dropout of 0 and a pass without a backward drop nothing; with it, the gradient is that of the masked pass.
template <class... Ats>
void check_dropout(const Stack<Ats...>& stack) {
  bool drops = false;  // a part that is switched off drops nothing
  (void)detail::changed(stack, [&](const auto& at) {
    drops =
        drops || (detail::has_dropout<std::remove_cvref_t<decltype(at.adapter)>> && at.placement.sites != site::none);
  });
  detail::ComplexBench<Ats...> plain(small_config(), stack, false);
  plain.disturb(2);
  const train::Batch batch = plain.batch(detail::ragged, 3);
  const Complex expected = plain.loss(batch);
  CHECK(plain.loss(batch, {}, true) == expected);
  if (drops) {
    const auto dropping = detail::changed(stack, [](auto& at) {
      if constexpr (detail::has_dropout<std::remove_cvref_t<decltype(at.adapter)>>) {
        at.adapter.dropout = 0.3;
      }
    });
    detail::ComplexBench<Ats...> bench(small_config(), dropping, true);
    bench.disturb(2);
    CHECK(bench.loss(batch) == expected);
    CHECK(std::abs(bench.loss(batch, {}, true) - expected) > 1e-6);
    detail::check_directions(bench, batch, 4, true);
  }
}

/// A backward that runs the blocks forward again has the gradients of one that kept everything, bit for bit, in less memory.
template <class... Ats>
void check_recomputed_equals_kept(const Stack<Ats...>& stack) {
  const auto dropping = detail::changed(stack, [](auto& at) {
    if constexpr (detail::has_dropout<std::remove_cvref_t<decltype(at.adapter)>>) {
      at.adapter.dropout = 0.3;
    }
  });
  for (const bool embedding : {true, false}) {
    detail::ComplexBench<Ats...> bench(small_config(), dropping, embedding, backends::Reference{.block_rows = 5});
    bench.disturb(2);
    const train::Batch batch = bench.batch(detail::ragged, 3);
    bench.differentiate(batch);
    const auto expected = bench.gradients(bench.attached);
    const std::size_t kept_peak = bench.run.arena().peak();
    bench.recompute = true;
    bench.differentiate(batch);
    const auto found = bench.gradients(bench.attached);
    for (std::size_t i = 0; i < expected.size(); ++i) {
      CAPTURE(i);
      CHECK(identical(found[i].view(), expected[i].view()));
    }
    CHECK(bench.run.arena().peak() <= kept_peak);
  }
}

/// Sequences do not notice each other: batched equals one by one, forward and backward.
template <class... Ats>
void check_batched_equals_one_by_one(const Stack<Ats...>& stack) {
  detail::ComplexBench<Ats...> bench(small_config(), stack, false, backends::Reference{.block_rows = 5});
  bench.disturb(2);
  const train::Batch batch = bench.batch(detail::ragged, 3);
  bench.differentiate(batch);
  const Tensor<Complex> together = bench.hidden();
  const auto expected = bench.gradients(bench.attached);
  std::vector<Tensor<Complex>> sum;
  for (const auto& g : expected) {
    sum.emplace_back(g.rows(), g.cols());
  }
  bench.be.block_rows = 128;
  for (std::size_t i = 0; i < detail::ragged.size(); ++i) {
    const train::Batch one = bench.batch({detail::ragged[i]}, 3 + i);
    bench.differentiate(one, {}, bench.mean(batch));
    const auto rows = together.view().middle_rows(batch.ragged.begin(static_cast<Index>(i)), one.ragged.tokens());
    CHECK(relative_error(bench.run.hidden(), rows) < 1e-13);
    std::size_t k = 0;
    bench.attached.for_each_parameter(
        [&](const std::string&, Parameter<Complex>& p) { bench.be.add(1, p.gradient.view(), sum[k++].view()); });
  }
  detail::check_equal(sum, expected, 1e-12);
}

/// A batch over a bank of adapters equals separate runs; an adapter learns from its own rows only.
template <class... Ats>
void check_adapter_ids(const Stack<Ats...>& stack) {
  using BenchType = detail::ComplexBench<Ats...>;
  BenchType bench(small_config(), stack, false, backends::Reference{.block_rows = 5});
  auto second = attach(bench.be, bench.model, BenchType::whole(stack, false), 7);
  bench.disturb(2);
  BenchType::disturb(second, 8);
  const std::vector<Index> ids = {1, 2, 0, 1};
  auto mixed_sequences = detail::ragged;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    mixed_sequences[i].adapter = ids[i];
  }
  const train::Batch mixed = bench.batch(mixed_sequences, 3);
  bench.differentiate(mixed, {&bench.attached, &second});
  const Tensor<Complex> together = bench.hidden();
  const std::vector<Tensor<Complex>> expected[] = {bench.gradients(bench.attached), bench.gradients(second)};
  for (const Index id : {Index{0}, Index{1}, Index{2}}) {
    CAPTURE(id);
    auto& member = id == 2 ? second : bench.attached;
    train::Batch own;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] == id) {
        own.push(tiny_example(bench.model.config, detail::ragged[i], 3 + i), id == 0 ? 0 : 1,
                 bench.attached.inserted());
      }
    }
    bench.differentiate(own, {&member}, bench.mean(mixed));
    Index row = 0;
    for (std::size_t i = 0; i < ids.size(); ++i) {
      if (ids[i] == id) {
        const Index length = mixed.ragged.length(static_cast<Index>(i));
        CHECK(relative_error(bench.run.hidden().middle_rows(row, length),
                             together.view().middle_rows(mixed.ragged.begin(static_cast<Index>(i)), length)) < 1e-13);
        row += length;
      }
    }
    if (id > 0) {
      detail::check_equal(bench.gradients(member), expected[id - 1], 1e-12);
    }
  }
}

/// Reading each token once, with keys and values kept, gives the hidden states of one pass over everything.
template <class... Ats>
void check_cached_equals_uncached(const Stack<Ats...>& stack) {
  detail::ComplexBench<Ats...> bench(small_config(), stack, false, backends::Reference{.block_rows = 5});
  bench.disturb(2);
  const auto& config = bench.model.config;
  const std::vector<TinySequence> sequences = {{9, 6}, {8, 5}};
  const train::Batch whole = bench.batch(sequences, 3);
  const Index inserted = bench.attached.inserted();
  bench.forward(whole, {}, false);
  const Tensor<Complex> expected = bench.hidden();
  models::KeyStore<Complex> store(config, 2, inserted + 12);
  auto* member = &bench.attached;
  for (Index step = 0; step < 4; ++step) {  // the prompts, then a token each
    Ragged part;
    std::vector<std::int32_t> tokens;
    for (Index i = 0; i < 2; ++i) {
      const Index prompt = sequences[static_cast<std::size_t>(i)].prompt;
      const Index from = step == 0 ? 0 : inserted + prompt + step - 1;
      const Index count = step == 0 ? inserted + prompt : 1;
      part.push(count, prompt, from, 1, inserted);
      const auto first = whole.tokens.begin() + whole.ragged.begin(i) + from;
      tokens.insert(tokens.end(), first, first + count);
    }
    bench.run.forward(bench.be, bench.model, std::span(&member, 1), part, tokens, 2, {}, &store);
    for (Index i = 0; i < 2; ++i) {
      CAPTURE(step, i);
      const Index at = whole.ragged.begin(i) + part.start[static_cast<std::size_t>(i)];
      CHECK(relative_error(bench.run.hidden().middle_rows(part.begin(i), part.length(i)),
                           expected.view().middle_rows(at, part.length(i))) < 1e-13);
    }
  }
}

/// Merged into weights and biases equals attached, where every module is a change of those, and none edits the input of a
/// map whose output another edits. An edit of a half block's output may bring a bias that the model does not have.
template <class... Ats>
void check_merged_equals_attached(const Stack<Ats...>& stack, const models::LlamaConfig& config) {
  detail::ComplexBench<Ats...> bench(config, stack, false);
  detail::ComplexBench<Ats...> merged(config, stack, false);
  bench.disturb(2);
  bool mergeable = true;
  std::map<std::string, unsigned> edits;  // by place: 1 input, 2 output
  bench.attached.for_each_module([&](const auto& recipe, const Placement& placement, auto& grafted) {
    using A = std::remove_cvref_t<decltype(recipe)>;
    if constexpr (std::same_as<A, adapters::Full>) {  // is the weight already
    } else if constexpr (weight_adapter<A>) {
      const auto layer = static_cast<std::size_t>(grafted.place.layer);
      const auto& base = bench.model.blocks[layer].linear(grafted.place.where);
      auto& into = merged.model.blocks[layer].linear(grafted.place.where);
      if constexpr (requires { grafted.module.merge(bench.be, base.weight.view(), into.weight.writable()); }) {
        grafted.module.merge(bench.be, base.weight.view(), into.weight.writable());
      } else {
        mergeable = mergeable && base.bias.size() > 0;
      }
      unsigned& sides = edits[grafted.place.name];
      if constexpr (requires { grafted.module.edits_input(); }) {
        sides |= grafted.module.edits_input() ? 1u : 0u;
      }
      if constexpr (requires { grafted.module.edits_output(); }) {
        sides |= grafted.module.edits_output() ? 2u : 0u;
      }
      mergeable = mergeable && sides != 3;
      if constexpr (requires { grafted.module.merge_bias(bench.be, base.bias.view(), into.bias.view()); }) {
        if (base.bias.size() > 0) {
          (void)grafted.module.merge_bias(bench.be, base.bias.view(), into.bias.view());
        }
      }
    } else if constexpr (representation_adapter<A>) {
      mergeable = mergeable && models::why_unfolded(grafted, placement).empty();
    } else {
      mergeable = false;
    }
  });
  if (!mergeable) {
    return;
  }
  bench.attached.for_each_module([&](const auto&, const Placement&, auto& grafted) {  // after what stands at the map
    if constexpr (models::folds<std::remove_cvref_t<decltype(grafted.module)>, Complex>) {
      auto& into = merged.model.blocks[static_cast<std::size_t>(grafted.place.layer)].linear(
          models::map_before(grafted.place.where));
      if (into.bias.size() == 0) {
        into.bias = Tensor<Complex>(1, into.outputs());
      }
      grafted.module.fold_weight(bench.be, into.weight.writable());
      grafted.module.fold_bias(bench.be, into.bias.view());
    }
  });
  auto sequences = detail::ragged;
  bench.forward(bench.batch(sequences, 3), {}, false);
  for (TinySequence& s : sequences) {
    s.adapter = 0;
  }
  merged.forward(bench.batch(sequences, 3), {}, false);
  CHECK(relative_error(merged.run.hidden(), bench.run.hidden()) < 1e-12);
}

/// The start that the method promises, and as many numbers as its paper counts.
template <class... Ats>
void check_start(const Stack<Ats...>& stack, const Promises& promises) {
  detail::ComplexBench<Ats...> bench(smallest_config(), stack, false);
  auto sequences = detail::ragged;
  bench.forward(bench.batch(sequences, 3), {}, false);
  const Tensor<Complex> attached = bench.hidden();
  for (TinySequence& s : sequences) {
    s.adapter = 0;
  }
  bench.forward(bench.batch(sequences, 3), {}, false);
  const double effect = relative_error(attached.view(), bench.run.hidden());
  CHECK(promises.starts_as_identity == (effect < 1e-13));
  CHECK(parameter_count(bench.attached) == promises.trained);
  CHECK(models::count_trainable(bench.model.config, stack) == promises.trained);
}

template <class... Ats>
void adapter_contract(const Stack<Ats...>& stack, const Promises& promises) {
  check_start(stack, promises);
  check_gradients_by_complex_step(stack);
  check_dropout(stack);
  check_recomputed_equals_kept(stack);
  check_batched_equals_one_by_one(stack);
  check_adapter_ids(stack);
  check_cached_equals_uncached(stack);
  check_merged_equals_attached(stack, small_config());
  check_merged_equals_attached(stack, smallest_config());
}

}  // namespace graft::test
