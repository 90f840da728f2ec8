// SPDX-License-Identifier: Apache-2.0
// pyreft_roundtrip MODEL IN FIRST LAST OUT: reads a folder of pyreft onto a model and writes it again, for
// tests/interop/pyreft_folders.py. FIRST and LAST are the positions at the ends of a prompt; 0 0 means all.
#include <cstdio>
#include <cstdlib>
#include <exception>

#include <graft/adapters/subspace.hpp>
#include <graft/backends/reference.hpp>
#include <graft/interchange/pyreft_export.hpp>
#include <graft/models/llama.hpp>
#include <graft/models/open_checkpoint.hpp>

using namespace graft;

namespace {

template <class A>
using OnStream = At<site::stream, A>;
using Family =
    Stack<OnStream<adapters::LoReft<>>, OnStream<adapters::NoReft<>>, OnStream<adapters::ConsReft<>>,
          OnStream<adapters::LobiReft<>>, OnStream<adapters::DiReftOrthonormal<>>, OnStream<adapters::NodiReft<>>>;

}  // namespace

int main(int argc, char** argv) {
  try {
    if (argc != 6) {
      std::fprintf(stderr, "pyreft_roundtrip MODEL IN FIRST LAST OUT\n");
      return 2;
    }
    const backends::Reference be;
    const auto checkpoint = models::open_checkpoint(argv[1]);
    const auto fingerprint = models::fingerprint_of(checkpoint);
    auto model = models::Llama<Uniform<float>, backends::Reference>::load(checkpoint);
    const Index first = std::atol(argv[3]);
    const Index last = std::atol(argv[4]);
    const auto file = interchange::open_pyreft(argv[2], first + last == 0 ? every_position : ends(first, last));
    auto attached = models::load_adapter<Family>(be, model, fingerprint, file);
    interchange::write_pyreft(argv[5], attached, fingerprint, argv[1]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return 1;
  }
}
