// SPDX-License-Identifier: Apache-2.0
// 01: opens a model and lets it write. It is frozen because nothing is attached that would ask for a gradient.
#include <graft/backends/gemm/onednn.hpp>
#include <graft/graft.hpp>

#include <cstdio>

using namespace graft;

using Backend = backends::Simd<backends::OneDnn>;
using Model = models::Llama<Uniform<float>, Backend>;
using Nothing = Attached<float, Stack<>>;

int main() {
  const Backend backend;
  const models::Checkpoint checkpoint = models::open_checkpoint("examples/models/village");
  const Model model = Model::load(checkpoint);
  const text::Tokenizer tokenizer = models::load_tokenizer(checkpoint).value();
  std::printf("%td parameters in %td layers, %td of them trained\n\n", models::parameter_count(model.config),
              model.layer_count(), models::count_trainable(model.config, Stack<>{}));
  for (const char* prompt : {"Mia got a cake. The cake was burnt. Mia", "Mia got a cake. The cake was not burnt. Mia",
                             "Tom had a book. The book looked dreary but was funny. Tom",
                             "Tom had a book. Ada said that the book was funny, but that was wrong. Tom"}) {
    const std::vector<std::int32_t> ids = tokenizer.encode(prompt, true);
    const std::vector<std::int32_t> written = train::generate<Model, Nothing>(
        backend, model, nullptr, ids, {.most = 1, .stop = model.config.eos}, [](std::int32_t) { return true; });
    std::printf("%s|%s\n", prompt, tokenizer.decode(written).c_str());
  }
}
