// SPDX-License-Identifier: Apache-2.0
// householder: torch's Householder parametrisation of orthonormal columns, evaluated, and the completion of a basis.
//
// X(d,r): v_i = e_i + column i below the diagonal, tau_i = 2 / v_i'v_i, H_i = I - tau_i v_i v_i',
// Q = (H_1 ... H_r)[:, :r] diag(trunc X_ii). Source: torch.nn.utils.parametrizations.orthogonal.
#pragma once

#include <cmath>  // copysign, sqrt, trunc
#include <vector>

#include <graft/base/require.hpp>
#include <graft/core/tensor.hpp>

namespace graft::linalg {

namespace detail {

/// m -= 2 v (v'm) / v'v on the rows from `first` on; v(d) is zero above.
inline void reflect(const std::vector<double>& v, Index first, View<double> m) {
  double square = 0;
  for (Index i = first; i < m.rows; ++i) {
    square += v[static_cast<std::size_t>(i)] * v[static_cast<std::size_t>(i)];
  }
  for (Index j = 0; square > 0 && j < m.cols; ++j) {
    double dot = 0;
    for (Index i = first; i < m.rows; ++i) {
      dot += v[static_cast<std::size_t>(i)] * m(i, j);
    }
    for (Index i = first; i < m.rows; ++i) {
      m(i, j) -= 2 * dot / square * v[static_cast<std::size_t>(i)];
    }
  }
}

}  // namespace detail

/// Q(d,r) of X(d,r), r < d (a square X goes through the matrix exponential in torch: shape.178).
[[nodiscard]] inline Tensor<double> householder_columns(View<const double> x) {
  require(x.cols < x.rows, "shape.178", "householder_columns: x(d,r) needs r < d");
  Tensor<double> q(x.rows, x.cols);
  for (Index j = 0; j < x.cols; ++j) {
    q(j, j) = std::trunc(x(j, j));
  }
  for (Index i = x.cols - 1; i >= 0; --i) {
    std::vector<double> v(static_cast<std::size_t>(x.rows));
    v[static_cast<std::size_t>(i)] = 1;
    for (Index k = i + 1; k < x.rows; ++k) {
      v[static_cast<std::size_t>(k)] = x(k, i);
    }
    detail::reflect(v, i, q.view());
  }
  return q;
}

/// R(r,d), where R' = base Q(X) is the orthonormal parametrisation of base(d,d) and X(d,r).
[[nodiscard]] inline Tensor<double> orthonormal_rows(View<const double> base, View<const double> x) {
  const Tensor<double> q = householder_columns(x);
  Tensor<double> r(x.cols, x.rows);
  for (Index i = 0; i < x.rows; ++i) {
    for (Index j = 0; j < x.cols; ++j) {
      for (Index k = 0; k < x.rows; ++k) {
        r(j, i) += base(i, k) * q(k, j);
      }
    }
  }
  return r;
}

/// A(d,d) orthogonal, whose first rows are the given orthonormal R(r,d), r < d: the reflections that turn R's rows into
/// unit vectors turn the other unit vectors into their complement.
[[nodiscard]] inline Tensor<double> complete_basis(View<const double> rows) {
  const Index r = rows.rows;
  const Index d = rows.cols;
  require(r < d, "shape.178", "complete_basis: rows(r,d) needs r < d");
  Tensor<double> columns(d, r);
  for (Index i = 0; i < r; ++i) {
    for (Index j = 0; j < d; ++j) {
      columns(j, i) = rows(i, j);
    }
  }
  std::vector<std::vector<double>> reflectors;
  for (Index i = 0; i < r; ++i) {
    std::vector<double> v(static_cast<std::size_t>(d));
    double square = 0;
    for (Index k = i; k < d; ++k) {
      v[static_cast<std::size_t>(k)] = columns(k, i);
      square += columns(k, i) * columns(k, i);
    }
    v[static_cast<std::size_t>(i)] += std::copysign(std::sqrt(square), columns(i, i));
    detail::reflect(v, i, columns.view());
    reflectors.push_back(std::move(v));
  }
  Tensor<double> complement(d, d - r);
  for (Index k = r; k < d; ++k) {
    complement(k, k - r) = 1;
  }
  for (Index i = r - 1; i >= 0; --i) {
    detail::reflect(reflectors[static_cast<std::size_t>(i)], i, complement.view());
  }
  Tensor<double> whole(d, d);
  for (Index i = 0; i < d; ++i) {
    for (Index j = 0; j < d; ++j) {
      whole(i, j) = i < r ? rows(i, j) : complement(j, i - r);
    }
  }
  return whole;
}

}  // namespace graft::linalg
