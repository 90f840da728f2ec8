// SPDX-License-Identifier: Apache-2.0
#include <graft/ops/gemm.hpp>

#include <limits>

#include "support/complex_step.hpp"

using namespace graft;
using test::Complex;
using test::rows_of;

TEST_CASE("gemm gives the worked PMSS example of methods.md D.6") {
  const auto c = rows_of<double>({{2, 0}, {0, 5}, {1, 1}, {6, 1}, {0, 0}});  // columns 3 and 2 of W0
  const auto r = rows_of<double>({{2, 0, 1, 6}, {1, 3, 5, 0}});              // rows 3 and 1 of W0
  const auto u = rows_of<double>({{0.1, -0.2}, {0.3, 0.05}});
  const double tolerance = 8 * test::epsilon<double>;

  Tensor<double> cu(5, 2);
  Tensor<double> delta(5, 4);
  ops::gemm_nn(1, c.view(), u.view(), 0, cu.view());
  ops::gemm_nn(1, cu.view(), r.view(), 0, delta.view());
  const auto expected = rows_of<double>({{0, -1.2, -1.8, 1.2},
                                         {3.25, 0.75, 2.75, 9},
                                         {0.65, -0.45, -0.35, 2.4},
                                         {0.65, -3.45, -4.85, 5.4},
                                         {0, 0, 0, 0}});
  CHECK(test::relative_error(delta.view(), expected.view()) <= tolerance);

  const auto x = rows_of<double>({{1, -1, 2, 0.5}});
  Tensor<double> y(1, 5);
  ops::gemm_nt(1, x.view(), delta.view(), 0, y.view());
  CHECK(test::relative_error(y.view(), rows_of<double>({{-1.8, 12.5, 1.6, -2.9, 0}}).view()) <= tolerance);

  Tensor<double> g(5, 4);
  for (Index i = 0; i < 5; ++i) {
    for (Index j = 0; j < 4; ++j) {
      g(i, j) = static_cast<double>(4 * i + j) / 10 - 1;
    }
  }
  Tensor<double> cg(2, 4);
  Tensor<double> du(2, 2);
  ops::gemm_tn(1, c.view(), g.view(), 0, cg.view());
  ops::gemm_nt(1, cg.view(), r.view(), 0, du.view());
  CHECK(test::relative_error(du.view(), rows_of<double>({{9, 2.7}, {-13, -17.9}}).view()) <= tolerance);
}

TEST_CASE("gemm scales the product by alpha and keeps beta times what stood there") {
  const auto a = rows_of<double>({{1, 2}, {3, 4}});
  const auto b = rows_of<double>({{5, 6}, {7, 8}});
  auto c = rows_of<double>({{1, 1}, {1, 1}});
  ops::gemm_nt(2, a.view(), b.view(), 10, c.view());
  CHECK(test::identical(c.view(), rows_of<double>({{44, 56}, {88, 116}}).view()));
  ops::gemm_nn(-1, a.view(), b.view(), 1, c.view());
  CHECK(test::identical(c.view(), rows_of<double>({{25, 34}, {45, 66}}).view()));
  ops::gemm_tn(1, a.view(), b.view(), -1, c.view());
  CHECK(test::identical(c.view(), rows_of<double>({{1, -4}, {-7, -22}}).view()));
}

TEST_CASE("gemm with beta 0 never reads what stood in c") {
  const auto a = rows_of<float>({{2}});
  auto c = rows_of<float>({{std::numeric_limits<double>::quiet_NaN()}});
  SECTION("nt") {
    ops::gemm_nt(1, a.view(), a.view(), 0, c.view());
  }
  SECTION("nn") {
    ops::gemm_nn(1, a.view(), a.view(), 0, c.view());
  }
  SECTION("tn") {
    ops::gemm_tn(1, a.view(), a.view(), 0, c.view());
  }
  CHECK(c(0, 0) == 4.0F);
}

TEST_CASE("gemm sums bf16 operands in float") {
  Tensor<bf16> a(1, 3);
  a(0, 0) = bf16(256.0F);
  a(0, 1) = bf16(1.0F);
  a(0, 2) = bf16(0.5F);
  Tensor<bf16> ones(1, 3);
  for (Index j = 0; j < 3; ++j) {
    ones(0, j) = bf16(1.0F);
  }
  Tensor<float> c(1, 1);
  ops::gemm_nt(1, a.view(), ones.view(), 0, c.view());
  CHECK(c(0, 0) == 257.5F);  // bf16 would stop at 256
}

TEST_CASE("gemm reads and writes strided views and touches nothing beside them") {
  auto a = test::normal<double>(4, 9, 1);
  auto b = test::normal<double>(5, 8, 2);
  auto c = rows_of<double>({{7, 7, 7, 7}, {7, 7, 7, 7}, {7, 7, 7, 7}});
  ops::gemm_nt(1, a.view().middle_rows(1, 2).middle_cols(3, 5), b.view().middle_rows(2, 2).middle_cols(1, 5), 0,
               c.view().middle_rows(1, 2).middle_cols(1, 2));
  for (Index i = 0; i < 2; ++i) {
    for (Index j = 0; j < 2; ++j) {
      double sum = 0;
      for (Index k = 0; k < 5; ++k) {
        sum += a(1 + i, 3 + k) * b(2 + j, 1 + k);
      }
      CHECK(c(1 + i, 1 + j) == Approx(sum).epsilon(16 * test::epsilon<double>));
    }
  }
  for (Index j = 0; j < 4; ++j) {
    CHECK(c(0, j) == 7);
  }
  CHECK((c(1, 0) == 7 && c(1, 3) == 7 && c(2, 0) == 7 && c(2, 3) == 7));
}

TEST_CASE("gemm_nn and gemm_tn are the gradients of gemm_nt") {
  auto x = test::normal<Complex>(3, 5, 11);
  auto w = test::normal<Complex>(4, 5, 12);
  const auto dy = test::normal<Complex>(3, 4, 13);
  const auto f = [&] {
    Tensor<Complex> y(3, 4);
    ops::gemm_nt(1, x.view(), w.view(), 0, y.view());
    return test::inner(dy.view(), y.view());
  };
  Tensor<Complex> dx(3, 5);
  Tensor<Complex> dw(4, 5);
  ops::gemm_nn(1, dy.view(), w.view(), 0, dx.view());
  ops::gemm_tn(1, dy.view(), x.view(), 0, dw.view());
  test::check_gradient(f, x.view(), dx.view());
  test::check_gradient(f, w.view(), dw.view());
}

TEST_CASE("gemm of an empty sum gives zeros") {
  const Tensor<float> a(2, 0);
  const Tensor<float> b(3, 0);
  auto c = test::normal<float>(2, 3, 5);
  ops::gemm_nt(1, a.view(), b.view(), 0, c.view());
  CHECK(test::largest(c.view()) == 0);
}

TEST_CASE("gemm refuses operands that disagree and says which product") {
  Tensor<float> a(2, 3);
  Tensor<float> b(4, 5);
  Tensor<float> c(2, 4);
  const View<const float> in = a.view();
  CHECK_THROWS_WITH(ops::gemm_nt(1, in, b.view(), 0, c.view()),
                    "shape.120: gemm_nt: a(M,K), b(N,K) and c(M,N) disagree");
  CHECK_THROWS_WITH(ops::gemm_nn(1, in, b.view(), 0, c.view()),
                    "shape.120: gemm_nn: a(M,K), b(K,N) and c(M,N) disagree");
  CHECK_THROWS_WITH(ops::gemm_tn(1, in, b.view(), 0, c.view()),
                    "shape.120: gemm_tn: a(K,M), b(K,N) and c(M,N) disagree");
  CHECK_THROWS_AS(ops::gemm_nt(1, in, a.view(), 0, c.view()), Error);  // c is (2,4), the product (2,2)
}
