// SPDX-License-Identifier: Apache-2.0
// graft inspect: what a model, an adapter or a safetensors file holds, as a table or as JSON. No weight is decoded.
#include <cstdio>
#include <map>
#include <optional>
#include <span>

#include <graft/interchange/open_any.hpp>
#include <graft/io/gguf.hpp>
#include <graft/io/path.hpp>
#include <graft/models/adapter_directory.hpp>
#include <graft/models/load_tokenizer.hpp>
#include <graft/models/open_checkpoint.hpp>
#include <graft/text/known_chat_templates.hpp>
#include <graft/text/pcre2.hpp>

#include "adapter_words.hpp"
#include "commands.hpp"
#include "words.hpp"

namespace graft::program {

namespace {

struct Tally {
  Index tensors = 0;
  Index numbers = 0;
  std::size_t bytes = 0;
};

template <class Tensors>
std::map<std::string, Tally> tally(const Tensors& tensors) {
  std::map<std::string, Tally> by_dtype;
  for (const io::TensorRef& tensor : tensors) {
    Tally& sum = by_dtype[std::string(io::dtype_name(tensor.dtype))];
    ++sum.tensors;
    sum.numbers += tensor.rows() * tensor.cols();
    sum.bytes += tensor.bytes;
  }
  return by_dtype;
}

io::Json tally_json(const std::map<std::string, Tally>& by_dtype) {
  io::Json json = io::Json::object();
  for (const auto& [name, sum] : by_dtype) {
    json[name] = {{"tensors", sum.tensors}, {"numbers", sum.numbers}, {"bytes", sum.bytes}};
  }
  return json;
}

std::string tally_text(const std::map<std::string, Tally>& by_dtype) {
  std::vector<std::vector<std::string>> rows = {{"stored as", "tensors", "numbers", "size"}};
  for (const auto& [name, sum] : by_dtype) {
    rows.push_back({name, std::to_string(sum.tensors), with_commas(sum.numbers), bytes_text(sum.bytes)});
  }
  return columns_text(rows, 2);
}

std::string template_name(const text::Tokenizer& tokenizer) {
  if (tokenizer.chat_template().empty()) {
    return "none";
  }
  try {
    constexpr const char* names[] = {"chatml", "llama2", "llama3", "mistral", "gemma", "zephyr", "plain"};
    return names[static_cast<std::size_t>(text::chat_template_of(tokenizer).style())];
  } catch (const Error&) {
    return "not known to graft";
  }
}

template <class Tensors>
io::Json tensors_json(const Tensors& tensors) {
  io::Json list = io::Json::array();
  for (const io::TensorRef& tensor : tensors) {
    list.push_back({{"name", tensor.name},
                    {"dtype", io::dtype_name(tensor.dtype)},
                    {"shape", tensor.shape},
                    {"bytes", tensor.bytes}});
  }
  return list;
}

template <class Tensors>
std::string tensors_text(const Tensors& tensors) {
  std::vector<std::vector<std::string>> rows = {{"tensor", "dtype", "shape"}};
  for (const io::TensorRef& tensor : tensors) {
    rows.push_back({tensor.name, std::string(io::dtype_name(tensor.dtype)), io::shape_text(tensor.shape)});
  }
  return columns_text(rows, 2);
}

std::string rope_text(const models::LlamaConfig& c) {
  using Kind = models::RopeScaling::Kind;
  const char* const kinds[] = {"", ", linear scaling", ", llama3 scaling", ", a factor for each frequency"};
  static_assert(static_cast<int>(Kind::none) == 0 && static_cast<int>(Kind::factors) == 3);
  return "theta " + significant(c.rope_theta, 7) + kinds[static_cast<int>(c.rope_scaling.kind)];
}

void inspect_model(const std::string& path, bool json) {
  const models::Checkpoint checkpoint = models::open_checkpoint(path);
  const models::LlamaConfig& c = checkpoint.config;
  const auto tokenizer = models::load_tokenizer(checkpoint, "", &text::compile_pcre2);
  const auto sums = tally(checkpoint.tensors);
  if (json) {
    io::Json found = {{"kind", "model"},
                      {"format", checkpoint.kind},
                      {"model_type", c.model_type},
                      {"parameters", models::parameter_count(c)},
                      {"vocab", c.vocab},
                      {"dim", c.dim},
                      {"layers", c.layers},
                      {"heads", c.heads},
                      {"kv_heads", c.kv_heads},
                      {"head_dim", c.head_dim},
                      {"ffn", c.ffn},
                      {"context", c.context},
                      {"norm_eps", c.norm_eps},
                      {"rope_theta", c.rope_theta},
                      {"tied_head", c.tied_head},
                      {"window", c.window},
                      {"stored", tally_json(sums)},
                      {"tensors", tensors_json(checkpoint.tensors)}};
    if (tokenizer) {
      found["tokenizer"] = {{"tokens", tokenizer->vocab_size()}, {"chat_template", template_name(*tokenizer)}};
    }
    std::printf("%s\n", found.dump().c_str());
    return;
  }
  std::string extras = c.tied_head ? "tied head" : "untied head";
  extras += c.qkv_bias ? ", biases on q, k, v" : "";
  extras += c.output_bias ? ", bias on o" : "";
  extras += c.mlp_bias ? ", biases in the feed-forward" : "";
  extras += c.qk_norm ? ", norms of q and k" : "";
  extras += c.window > 0 ? ", sliding window " + with_commas(c.window) : "";
  const std::string text =
      path + "\n" +
      columns_text({{"model", c.model_type + " (" + checkpoint.kind + ")"},
                    {"parameters", with_commas(models::parameter_count(c))},
                    {"layers", std::to_string(c.layers)},
                    {"width", std::to_string(c.dim) + ", feed-forward " + std::to_string(c.ffn)},
                    {"attention", std::to_string(c.heads) + " heads of " + std::to_string(c.head_dim) + ", " +
                                      std::to_string(c.kv_heads) + " of keys and values"},
                    {"vocabulary", with_commas(c.vocab)},
                    {"context", with_commas(c.context)},
                    {"rope", rope_text(c)},
                    {"norm", "epsilon " + significant(c.norm_eps, 3)},
                    {"details", extras},
                    {"tokenizer", tokenizer ? with_commas(tokenizer->vocab_size()) + " tokens" : "none found"},
                    {"chat template", tokenizer ? template_name(*tokenizer) : "none"}},
                   2) +
      tally_text(sums);
  std::fputs(text.c_str(), stdout);
}

void inspect_safetensors(const std::string& path, bool json) {
  const auto file = io::Safetensors::open(path);
  const auto sums = tally(file.tensors());
  if (json) {
    const io::Json found = {{"kind", "safetensors"},
                            {"metadata", file.metadata()},
                            {"stored", tally_json(sums)},
                            {"tensors", tensors_json(file.tensors())}};
    std::printf("%s\n", found.dump().c_str());
    return;
  }
  std::string text = path + "\n" + tally_text(sums);
  for (const auto& [key, value] : file.metadata()) {
    text += "  " + key + " = " + value + "\n";
  }
  std::fputs((text + tensors_text(file.tensors())).c_str(), stdout);
}

void show_adapter(const std::string& path, const io::Json& config, std::span<const io::TensorRef> tensors, bool json) {
  const auto sums = tally(tensors);
  if (json) {
    const io::Json found = {
        {"kind", "adapter"}, {"config", config}, {"stored", tally_json(sums)}, {"tensors", tensors_json(tensors)}};
    std::printf("%s\n", found.dump().c_str());
    return;
  }
  std::vector<std::vector<std::string>> rows;
  for (const auto& [key, value] : config.items()) {
    if (key != "parts" && !value.is_null()) {
      rows.push_back({key, value.is_string() ? value.get<std::string>() : value.dump()});
    }
  }
  if (config.contains("parts")) {
    for (const io::Json& part : config.at("parts")) {
      for (const auto& [key, value] : part.items()) {
        rows.push_back({"  " + key, value.is_string() ? value.get<std::string>() : value.dump()});
      }
    }
  }
  std::fputs((path + "\n" + columns_text(rows, 2) + tally_text(sums) + tensors_text(tensors)).c_str(), stdout);
}

/// A folder of our own or of PEFT, as it lies there.
void inspect_adapter(const std::string& path, bool json) {
  const std::string where = io::join(path, models::adapter_config_name);
  show_adapter(path, io::parse_json(io::read_text(where), where),
               io::Safetensors::open(io::join(path, models::adapter_tensors_name)).tensors(), json);
}

/// A LoRA or a control vector in GGUF, as it lies there.
void inspect_gguf_adapter(const std::string& path, const io::Gguf& file, bool json) {
  io::Json config = {{"saved as", "GGUF"}};
  for (const char* key : {"general.architecture", "adapter.type", "controlvector.model_hint"}) {
    if (const auto text = file.get<std::string_view>(key)) {
      config[key] = *text;
    }
  }
  if (const auto alpha = file.get<double>("adapter.lora.alpha")) {
    config["adapter.lora.alpha"] = *alpha;
  }
  show_adapter(path, config, file.tensors(), json);
}

/// Whether a GGUF file holds an adapter and no model.
bool is_gguf_adapter(const io::Gguf& file) {
  return file.get<std::string_view>("general.type") == "adapter" ||
         file.get<std::string_view>("general.architecture") == "controlvector";
}

/// A folder of another program, as graft understands it.
void inspect_foreign(const InspectSettings& settings) {
  std::optional<Positions> positions;
  if (!settings.positions.empty()) {
    positions = parse_positions(settings.positions);
  }
  const bool unsaid = !positions && interchange::is_pyreft_folder(settings.path) &&
                      !io::exists(io::join(settings.path, interchange::pyreft_note_name));
  const models::AdapterFile file = interchange::open_any_adapter(
      settings.path, unsaid ? std::optional(ends(1, 1)) : positions, 0, &text::compile_pcre2);
  io::Json config = {{"saved by", file.peft_type}, {"base model", file.base_model}, {"parts", io::Json::array()}};
  for (const models::AdapterPart& part : file.parts) {
    config["parts"].push_back({{"adapter", part.adapter},
                               {"policies", part.policies},
                               {"settings", part.settings},
                               {"layers", words_of(part.placement.layers)},
                               {"positions", unsaid ? "not in the folder" : words_of(part.placement.positions)}});
  }
  show_adapter(settings.path, config, file.tensors.tensors(), settings.json);
  for (const std::string& warning : file.warnings) {
    std::fprintf(stderr, "%s: %s\n", settings.path.c_str(), warning.c_str());
  }
}

}  // namespace

int inspect(const InspectSettings& settings) {
  const std::string& path = settings.path;
  const auto holds = [&](std::string_view name) { return io::exists(io::join(path, name)); };
  const bool described = io::is_directory(path) && holds(models::adapter_config_name);
  if (described && holds(models::adapter_tensors_name)) {
    inspect_adapter(path, settings.json);
  } else if (described || (io::is_directory(path) && interchange::is_pyreft_folder(path))) {
    inspect_foreign(settings);
  } else if (path.ends_with(".safetensors")) {
    inspect_safetensors(path, settings.json);
  } else if (path.ends_with(".gguf") && is_gguf_adapter(io::Gguf::open(path))) {
    inspect_gguf_adapter(path, io::Gguf::open(path), settings.json);
  } else {
    inspect_model(path, settings.json);
  }
  return exit_success;
}

}  // namespace graft::program
