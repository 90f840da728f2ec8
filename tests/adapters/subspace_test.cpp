// SPDX-License-Identifier: Apache-2.0
#include <graft/adapters/subspace.hpp>
#include <graft/linalg/orthonormal.hpp>

#include "contracts/adapter_contract.hpp"
#include "support/catch.hpp"
#include "support/every_method.hpp"
#include "support/files.hpp"

using namespace graft;
using test::contains;
using test::rows_of;

TEST_CASE("every member of the ReFT family keeps the adapter contract, tied, untied and at all positions") {
  const Index d = 7;
  const Index r = 2;
  const Index affine = 2 * d * r + r;
  const Index constant = d * r + r;
  const Index counts[] = {affine, affine, affine, affine, constant, constant};
  const auto only = [&](std::size_t member, const Placement& placement) {
    return test::only_number(test::first_reft + member, r, placement);
  };
  for (std::size_t member = 0; member < 6; ++member) {
    CAPTURE(member);
    const bool identity = member != 4;  // R'(b - R h) has no start that does nothing
    test::adapter_contract(only(member, {.positions = ends(2, 2), .sites = site::residual}),
                           {.starts_as_identity = identity, .trained = 2 * counts[member]});
  }
  const auto untied = [&](bool is_affine) {  // two units: on three streams and on keys and values (width 4), and once
    const auto unit = [&](Index width) { return (is_affine ? 2 : 1) * width * r + r; };
    return 2 * (2 * (3 * unit(d) + 2 * unit(4)) + unit(d));
  };
  // pyreft's add_bias and act_fn: b2 is r numbers more, and no activated source starts as the identity
  test::adapter_contract(only(6, {.positions = ends(2, 2), .sites = site::residual}), {.trained = 2 * (affine + r)});
  test::adapter_contract(only(7, {.positions = ends(2, 2), .sites = site::residual}),
                         {.starts_as_identity = false, .trained = 2 * affine});
  for (const std::size_t member : {std::size_t{0}, std::size_t{5}}) {
    test::adapter_contract(only(member, {.positions = ends(1, 2), .tied = false}), {.trained = untied(member == 0)});
    test::adapter_contract(only(member, {.sites = site::attention | site::feed_forward}),
                           {.trained = 2 * 2 * counts[member]});
  }
}

TEST_CASE("the worked example of LoReFT has its edit and its gradients") {  // methods.md D.5
  const backends::Reference be;
  const auto basis = rows_of<double>({{.5, .5, .5, .5}, {.5, -.5, .5, -.5}});
  const auto source = rows_of<double>({{1, 0, 2, 0}, {0, 1, 0, -1}});
  const auto h = rows_of<double>({{1, 2, 3, 4}});
  const auto delta = rows_of<double>({{1, -1, 2, .5}});
  const auto run = [&](auto recipe, const Tensor<double>& edited, auto check) {
    using Module = typename decltype(recipe)::template Module<double>;
    recipe.rank = 2;
    Module module(recipe, be, {0, site::residual, 4, 4, "stream"}, Random(1));
    module.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
      be.copy(name == "R" ? basis.view() : name == "W" ? source.view() : rows_of<double>({{.5, -1}}).view(), p.value);
    });
    Arena arena;
    typename Module::Cache cache;
    for (int pass = 0; pass < 2; ++pass) {
      pass == 0 ? arena.measure() : arena.reserve();
      module.lay_out_kept(cache, arena, {.rows = 1, .lane_rows = 1, .keep = true});
      module.lay_out_scratch(cache, arena, {.rows = 1, .lane_rows = 1, .keep = true});
    }
    const Block one{0, 1, 0, 0};
    Tensor<double> rows = h.clone();
    module.edit(be, cache, one, rows.view());
    CHECK(test::relative_error(rows.view(), edited.view()) < 1e-15);
    Tensor<double> dh = delta.clone();
    module.edit_vjp(be, cache, one, dh.view());
    module.gradients(be, cache, {0, 1});
    check(module, dh);
  };
  const auto nothing = [](auto&, const Tensor<double>&) {};
  run(adapters::LoReft<>{}, rows_of<double>({{1.25, 4.25, 3.25, 6.25}}), [&](auto& module, const Tensor<double>& dh) {
    CHECK(test::relative_error(dh.view(), rows_of<double>({{.75, 1, 3, -1}}).view()) < 1e-15);
    module.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
      const auto expected = name == "R"   ? rows_of<double>({{1.25, -5, 1.25, -3.75}, {-3.75, -1.5, -9.25, -8}})
                            : name == "W" ? rows_of<double>({{1.25, 2.5, 3.75, 5}, {1.75, 3.5, 5.25, 7}})
                                          : rows_of<double>({{1.25, 1.75}});
      CHECK(test::relative_error(p.gradient.view(), expected.view()) < 1e-15);
    });
  });
  run(adapters::DiReftOrthonormal<>{}, rows_of<double>({{3.25, 7.25, 5.25, 9.25}}), nothing);
  run(adapters::ConsReft<>{}, rows_of<double>({{-1.25, -.25, .75, 1.75}}), nothing);
  run(adapters::LobiReft<>{}, rows_of<double>({{.75, 2.75, 2.75, 4.75}}), nothing);
}

TEST_CASE("each subspace of the worked example has its edit, and the edits of a partition add up") {  // methods.md D.5
  const backends::Reference be;
  using Module = adapters::LoReft<>::Module<double>;
  Module module({.rank = 2}, be, {0, site::residual, 4, 4, "stream"}, Random(1));
  module.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    be.copy(name == "R"   ? rows_of<double>({{.5, .5, .5, .5}, {.5, -.5, .5, -.5}}).view()
            : name == "W" ? rows_of<double>({{1, 0, 2, 0}, {0, 1, 0, -1}}).view()
                          : rows_of<double>({{.5, -1}}).view(),
            p.value);
  });
  const std::vector<std::uint64_t> subspaces = {0b01, 0b10, 0b11, whole_subspace, 0};
  const Index rows = 5;
  Arena arena;
  Module::Cache cache;
  for (int pass = 0; pass < 2; ++pass) {
    pass == 0 ? arena.measure() : arena.reserve();
    const Extent extent{.rows = rows, .lane_rows = rows, .keep = true, .subspaces = subspaces};
    module.lay_out_kept(cache, arena, extent);
    module.lay_out_scratch(cache, arena, extent);
  }
  Tensor<double> h(rows, 4);
  be.add_bias(rows_of<double>({{1, 2, 3, 4}}).view(), h.view());
  module.edit(be, cache, {0, rows, 0, 0}, h.view());
  const auto expected = rows_of<double>(
      {{2.25, 3.25, 4.25, 5.25}, {0, 3, 2, 5}, {1.25, 4.25, 3.25, 6.25}, {1.25, 4.25, 3.25, 6.25}, {1, 2, 3, 4}});
  CHECK(test::relative_error(h.view(), expected.view()) < 1e-15);

  // the first row alone: rows of R outside its subspace get no gradient
  Tensor<double> dh(rows, 4);
  be.add_bias(rows_of<double>({{1, -1, 2, .5}}).view(), dh.view().middle_rows(0, 1));
  module.edit_vjp(be, cache, {0, rows, 0, 0}, dh.view());
  module.gradients(be, cache, {0, rows});
  module.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
    CAPTURE(name);
    const Tensor<double> gradient = p.gradient.clone();
    const View<const double> outside =
        name == "b" ? gradient.view().middle_cols(1, 1) : gradient.view().middle_rows(1, 1);
    CHECK(test::largest(outside) == 0);
    CHECK(test::largest(gradient.view()) > 0);
  });
}

TEST_CASE("sequences that carry subspaces have the gradients of the complex step, together and alone") {
  using BenchType = test::Bench<test::Complex, backends::Reference, test::EveryMethod>;
  const auto stack = test::only(test::OnStream<adapters::LoReft<>>{
      {.rank = 3}, {.positions = ends(2, 2), .tied = false, .sites = site::residual | site::attention}});
  BenchType bench(test::small_config(), stack, true, backends::Reference{.block_rows = 5});
  bench.disturb(2);
  auto sequences = test::detail::ragged;
  sequences[0].subspace = 0b011;
  sequences[2].subspace = 0b100;
  const train::Batch batch = test::tiny_batch(bench.model.config, sequences, 3);
  CHECK(batch.ragged.subspace == std::vector<std::uint64_t>{0b011, whole_subspace, 0b100, whole_subspace});
  test::detail::check_directions(bench, batch, 8);
  bench.forward(batch, {}, false);
  const auto together = bench.hidden();
  for (std::size_t i = 0; i < sequences.size(); ++i) {
    const train::Batch one = test::tiny_batch(bench.model.config, {sequences[i]}, 3 + i);
    bench.forward(one, {}, false);
    const auto rows = together.view().middle_rows(batch.ragged.begin(static_cast<Index>(i)), one.ragged.tokens());
    CHECK(test::relative_error(bench.run.hidden(), rows) < 1e-13);
  }
}

TEST_CASE("a rank beyond the 64 rows that a subspace can name is refused once a sequence carries one") {
  adapters::LoReft<>::Module<double> module({.rank = 65}, backends::Reference{}, {0, site::residual, 70, 70, "stream"},
                                            Random(1));
  adapters::LoReft<>::Module<double>::Cache cache;
  Arena arena;
  const std::vector<std::uint64_t> subspaces = {1};
  module.lay_out_kept(cache, arena, {.rows = 1, .lane_rows = 1});
  const Error error =
      test::error_of([&] { module.lay_out_kept(cache, arena, {.rows = 1, .lane_rows = 1, .subspaces = subspaces}); });
  CHECK(error.id() == "adapter.743");
}

TEST_CASE("pyreft's random start edits at once, and no two modules start alike") {
  const backends::Reference be;
  using Recipe = adapters::LoReft<dynamic, adapters::policies::RandomStart>;
  const Place place{0, site::residual, 16, 16, "stream"};
  std::vector<double> starts;
  for (const std::uint64_t seed : {1u, 2u}) {
    Recipe::Module<double> module({.rank = 3}, be, place, Random(seed));
    CHECK(linalg::orthonormality_error(module.basis()) < 1e-14);
    module.for_each_parameter([&](const std::string& name, Parameter<double>& p) {
      CHECK(test::largest(p.value) > 0);
      if (name != "R") {
        CHECK(test::largest(p.value) <= 0.25);  // 1 / sqrt(16)
      }
      CHECK(p.decays == (name != "R"));
      starts.push_back(p.value(0, 0));
    });
  }
  for (std::size_t i = 0; i < starts.size(); ++i) {
    for (std::size_t j = 0; j < i; ++j) {
      CHECK(starts[i] != starts[j]);
    }
  }
}

TEST_CASE("a rank that a subspace cannot have is refused with the module's name") {
  const backends::Reference be;
  const auto make = [&](Index rank) {
    return test::error_of([&] {
      (void)adapters::LoReft<>::Module<double>({.rank = rank}, be, {0, site::residual, 8, 8, "model.layers.3"},
                                               Random(1));
    });
  };
  CHECK(make(0).id() == "adapter.620");
  CHECK(make(9).id() == "adapter.620");
  CHECK_THAT(make(9).what(), contains("width = 8; found 9 [model.layers.3]"));
}
