// SPDX-License-Identifier: Apache-2.0
// Householder: pyreft's parametrisation of R, to follow its trajectories. It needs a d x d base, which is why graft's own
// bases do not work so.
//
// X(d,r) is trained. v_i = e_i + the strict lower triangle's column i, tau_i = 2 / v_i'v_i, H_i = I - tau_i v_i v_i',
// Q = (H_1 ... H_r)[:, :r] diag(trunc(X_ii)), R = (base Q)'. Source: torch.nn.utils.parametrizations.orthogonal.
#pragma once

#include <cmath>
#include <vector>

#include <graft/adapters/policies/basis.hpp>

namespace graft::test {

/// A basis policy that lives outside the library.
struct Householder {
  template <scalar T>
  struct Chart {
    Tensor<T> base;                   // (d,d), orthogonal; its transpose is what adopt() may be given
    Tensor<T> r;                      // (r,d) the map's value
    Tensor<T> gradient;               // (r,d) dL/dR
    std::vector<Tensor<T>> products;  // (d,r) H_i ... H_r E, from i = 0 on; the last is E

    /// The first rows of the identity; what follows pyreft adopts its base.
    [[nodiscard]] Parameter<T> start(Index rank, Index d, Random) {
      Parameter<T> trained(d, rank, false);
      Tensor<T> identity(d, d);
      for (Index i = 0; i < d; ++i) {
        identity(i, i) = 1;
      }
      rebase(identity.view(), trained);
      return trained;
    }
    /// `rows`(d,d): R, and below it the rows that complete it: the transpose of pyreft's base.
    template <class B>
    void adopt(const B&, Parameter<T>& trained, In<T> rows) {
      rebase(rows, trained);
    }
    [[nodiscard]] View<const T> rows(const Parameter<T>&) const { return r.view(); }
    [[nodiscard]] View<T> rows_gradient(Parameter<T>&) { return gradient.view(); }

    /// Walks the reflections back, then forgets dL/dR, so that several batches may be summed.
    template <class B>
    void pull(const B& be, Parameter<T>& trained) {
      const Index d = trained.value.rows;
      const Index rank = trained.value.cols;
      Tensor<T> g(d, rank);
      for (Index i = 0; i < d; ++i) {
        for (Index j = 0; j < rank; ++j) {
          for (Index k = 0; k < d; ++k) {
            g(i, j) += base(k, i) * gradient(j, k);
          }
          g(i, j) *= sign(trained, j);
        }
      }
      for (Index i = 0; i < rank; ++i) {
        const Tensor<T> v = reflector(trained, i);
        const T tau = T(2) / dot(v, v, 0, 0);
        const Tensor<T>& p = products[static_cast<std::size_t>(i + 1)];
        T both{};
        for (Index j = 0; j < rank; ++j) {
          both += dot(v, p, 0, j) * dot(v, g, 0, j);
        }
        for (Index row = i + 1; row < d; ++row) {
          T slope = tau * tau * both * v(row, 0);
          for (Index j = 0; j < rank; ++j) {
            slope -= tau * (p(row, j) * dot(v, g, 0, j) + g(row, j) * dot(v, p, 0, j));
          }
          trained.gradient(row, i) += slope;
        }
        reflect(v, tau, g);
      }
      be.fill(0, gradient.view());
    }
    template <class B>
    void retract(const B&, Parameter<T>& trained) {
      map(trained);
    }

   private:
    void rebase(In<T> rows, Parameter<T>& trained) {
      const Index d = trained.value.rows;
      const Index rank = trained.value.cols;
      require(rows.rows == d && rows.cols == d, "shape.190", "Householder: give R together with its completion, d x d");
      base = Tensor<T>(d, d);
      for (Index i = 0; i < d; ++i) {
        for (Index j = 0; j < d; ++j) {
          base(i, j) = rows(j, i);
        }
        for (Index j = 0; j < rank; ++j) {
          trained.value(i, j) = T(i == j ? -1 : 0);
        }
      }
      r = Tensor<T>(rank, d);
      gradient = Tensor<T>(rank, d);
      map(trained);
    }
    void map(const Parameter<T>& trained) {
      const Index d = trained.value.rows;
      const Index rank = trained.value.cols;
      products = std::vector<Tensor<T>>(static_cast<std::size_t>(rank) + 1);
      Tensor<T> q(d, rank);
      for (Index j = 0; j < rank; ++j) {
        q(j, j) = T(1);
      }
      products.back() = q.clone();
      for (Index i = rank - 1; i >= 0; --i) {
        const Tensor<T> v = reflector(trained, i);
        reflect(v, T(2) / dot(v, v, 0, 0), q);
        products[static_cast<std::size_t>(i)] = q.clone();
      }
      for (Index j = 0; j < rank; ++j) {
        for (Index k = 0; k < d; ++k) {
          T sum{};
          for (Index i = 0; i < d; ++i) {
            sum += base(k, i) * q(i, j);
          }
          r(j, k) = sum * sign(trained, j);
        }
      }
    }
    [[nodiscard]] static T sign(const Parameter<T>& trained, Index j) {
      return T(static_cast<real_type<T>>(std::trunc(static_cast<double>(real_part(trained.value(j, j))))));
    }
    [[nodiscard]] static Tensor<T> reflector(const Parameter<T>& trained, Index i) {
      Tensor<T> v(trained.value.rows, 1);
      v(i, 0) = T(1);
      for (Index row = i + 1; row < trained.value.rows; ++row) {
        v(row, 0) = trained.value(row, i);
      }
      return v;
    }
    [[nodiscard]] static T dot(const Tensor<T>& a, const Tensor<T>& b, Index i, Index j) {
      T sum{};
      for (Index row = 0; row < a.rows(); ++row) {
        sum += a(row, i) * b(row, j);
      }
      return sum;
    }
    static void reflect(const Tensor<T>& v, T tau, Tensor<T>& x) {
      for (Index j = 0; j < x.cols(); ++j) {
        const T along = tau * dot(v, x, 0, j);
        for (Index row = 0; row < x.rows(); ++row) {
          x(row, j) -= along * v(row, 0);
        }
      }
    }
  };
};

static_assert(basis<Householder>);

}  // namespace graft::test
