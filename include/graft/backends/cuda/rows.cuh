// SPDX-License-Identifier: Apache-2.0
// rows: operations that need a whole row at once, a team each: norms and the cross entropy. Sums are taken in an order that the
// shape alone decides.
#pragma once

#include <cmath>
#include <cstdint>

#include <graft/base/index.hpp>
#include <graft/core/view.hpp>
#include <graft/ops/rms_norm.hpp>

namespace graft::backends::cuda {

/// 1 / rms of row i, known to the whole team.
template <class Team>
[[nodiscard]] GRAFT_HD float inverse_rms(const Team& team, View<const float> x, Index i, double epsilon) {
  using std::sqrt;
  const float squares = team.sum(x.cols, [&](Index j) { return x(i, j) * x(i, j); });
  return 1.0f / sqrt(squares / static_cast<float>(x.cols) + static_cast<float>(epsilon));
}

/// y = x / rms(x) (offset + gain).
template <class G>
struct RmsNorm {
  ops::RmsNorm<G> norm;
  View<const float> x;
  View<float> y;
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index i) const {
    const float inverse = inverse_rms(team, x, i, norm.epsilon);
    team.each(x.cols, [&](Index j) { y(i, j) = x(i, j) * inverse * ops::detail::gain_at<float>(norm, j); });
  }
};

/// dx += J' dy: with r = 1/rms and h = dy (offset + gain), dx = r h - x r^3 <h, x> / D.
template <class G>
struct RmsNormVjp {
  ops::RmsNorm<G> norm;
  View<const float> x, dy;
  View<float> dx;
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index i) const {
    const float inverse = inverse_rms(team, x, i, norm.epsilon);
    const float dot =
        team.sum(x.cols, [&](Index j) { return dy(i, j) * ops::detail::gain_at<float>(norm, j) * x(i, j); });
    const float pull = dot * inverse * inverse * inverse / static_cast<float>(x.cols);
    team.each(x.cols, [&](Index j) {
      dx(i, j) += dy(i, j) * ops::detail::gain_at<float>(norm, j) * inverse - x(i, j) * pull;
    });
  }
};

/// inverse[i] = 1 / rms of row i.
struct InverseRms {
  View<const float> x;
  double epsilon;
  float* inverse;
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index i) const {
    const float value = inverse_rms(team, x, i, epsilon);
    team.each(1, [&](Index) { inverse[i] = value; });
  }
};

/// nll(i) = logsumexp(logits) - logits[label]; where `scale` is not 0 the logits become scale (softmax - onehot(label)).
struct CrossEntropy {
  View<float> logits;
  const std::int32_t* labels;
  float scale;
  View<float> nll;
  template <class Team>
  GRAFT_HD void operator()(const Team& team, Index i) const {
    using std::exp;
    using std::log;
    const Index label = labels[i];
    const float largest = team.max(logits.cols, [&](Index j) { return logits(i, j); });
    const float sum = team.sum(logits.cols, [&](Index j) { return exp(logits(i, j) - largest); });
    team.each(1, [&](Index) { nll(i, 0) = largest - logits(i, label) + log(sum); });
    if (scale != 0) {
      team.sync();  // the label's logit has been read
      const float share = scale / sum;
      team.each(logits.cols, [&](Index j) {
        logits(i, j) = share * exp(logits(i, j) - largest) - (j == label ? scale : 0.0f);
      });
    }
  }
};

}  // namespace graft::backends::cuda
