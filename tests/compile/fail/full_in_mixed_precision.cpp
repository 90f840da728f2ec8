// expect: Full: weights are trained in the precision they are stored in; use Uniform<T>, not Mixed
// SPDX-License-Identifier: Apache-2.0
#include <graft/models/attach.hpp>

using Model = graft::models::Llama<graft::Mixed<graft::bf16, float>, graft::backends::Reference>;
void train(Model& model) {
  (void)graft::attach(graft::backends::Reference{}, model,
                      graft::Stack{graft::At<graft::site::query, graft::adapters::Full>{}}, 1);
}
