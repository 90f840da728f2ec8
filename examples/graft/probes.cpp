// SPDX-License-Identifier: Apache-2.0
#include "probes.hpp"

#include <algorithm>  // max, min

#include <graft/core/random.hpp>

namespace graft::program {

namespace {

constexpr Index least_prompts = 8;
constexpr Index least_tokens = 256;
constexpr Index longest_probe = 40;

constexpr const char* texts[] = {
    "The old lighthouse had not been lit for thirty years when the two sisters found its key under a loose stone. They "
    "climbed the winding stairs, counted every step aloud, and at the top saw the whole bay lying in the evening sun.",
    "def running_mean(values, window):\n    total = sum(values[:window])\n    result = [total / window]\n    for old, "
    "new "
    "in zip(values, values[window:]):\n        total += new - old\n        result.append(total / window)\n    return "
    "result\n",
    "3.14159265358979 2.71828182845905 1.41421356237310 0.57721566490153 1.61803398874989\n17 * 23 = 391; 391 - 144 = "
    "247; 247 / 13 = 19; 2026-11-22 is a Sunday; 1,048,576 bytes are one mebibyte.",
    "Am Morgen lag dichter Nebel über dem Fluss, und die Fähre fuhr erst gegen neun. Wer es eilig hatte, nahm den Weg "
    "über die Brücke; die anderen tranken noch einen Kaffee und lasen die Zeitung von gestern.",
    "La biblioteca abre a las nueve y cierra a las siete, salvo los domingos. En otoño, después de la lluvia, los "
    "niños "
    "buscan allí libros de animales; 東京の冬は晴れた日が多い。Зимой в Москве рано темнеет.",
    "{\"id\": 4711, \"name\": \"Ada\", \"tags\": [\"a\", \"b\"], \"price\": 12.50, \"active\": true}\n{\"id\": 4712, "
    "\"name\": \"Ben\", \"tags\": [], \"price\": 7.25, \"active\": null}\n",
    "Water boils at a lower temperature on a high mountain because the pressure of the air is smaller there. A stew "
    "therefore takes longer to cook, unless it is cooked under a tight lid that lets the pressure rise.",
    "Dear committee,\n\nthank you for your letter of 3 May. We accept the terms in sections 1 to 4, ask for a change "
    "in "
    "section 5 (delivery within sixty days instead of thirty), and look forward to your answer.\n\nYours sincerely",
    "for (int i = 0; i < n; ++i) {\n  sum += a[i] * b[i];  // a dot product\n}\nreturn std::sqrt(sum);\n\nSELECT name, "
    "COUNT(*) FROM visits WHERE year >= 2020 GROUP BY name ORDER BY 2 DESC LIMIT 10;"};

void add(Probes& probes, train::Example example, const models::LlamaConfig& config, Index length, bool text) {
  std::erase_if(example.ids, [&](std::int32_t id) { return id >= config.vocab; });
  example.ids.resize(std::min(example.ids.size(), static_cast<std::size_t>(length)));
  example.labels = example.ids;
  const auto count = std::ssize(example.ids);
  example.prompt = text ? count - count / 4 : std::clamp<Index>(example.prompt, 1, count);
  if (count > 0) {
    probes.prompts.push_back(std::move(example));
  }
}

}  // namespace

Probes probes_of(const Session& session) {
  const models::LlamaConfig& config = session.config();
  Probes probes;
  if (session.has_tokenizer()) {
    const Index length = std::min(longest_probe, config.context);
    std::vector<io::Json> records;
    for (const char* text : texts) {
      records.push_back({{"text", text}});
    }
    for (train::Example& example : session.examples_of({}, records)) {
      add(probes, std::move(example), config, length, true);
    }
  }
  Index tokens = 0;
  for (const train::Example& example : probes.prompts) {
    tokens += std::ssize(example.ids);
  }
  const Random random(8, 0);
  std::uint64_t draws = 0;
  while (std::ssize(probes.prompts) + 1 < least_prompts || tokens < least_tokens) {
    train::Example example;
    for (Index i = 0; i < std::min(longest_probe, config.context); ++i) {
      example.ids.push_back(static_cast<std::int32_t>(random.uniform(draws++) * static_cast<double>(config.vocab)));
    }
    tokens += std::ssize(example.ids);
    add(probes, std::move(example), config, longest_probe, true);
  }
  if (!session.has_tokenizer()) {
    add(probes, probes.prompts.front(), config, longest_probe, false);
    probes.form = "token ids";
  } else {
    const io::Json record = {
        {"question", "A train leaves at half past eight and arrives at noon. How long does the journey take?"},
        {"answer", "It takes three and a half hours."}};
    add(probes, session.examples_of({}, {record}).front(), config, config.context, false);
    probes.form = session.has_chat() ? "chat template" : "question and answer";
  }
  return probes;
}

}  // namespace graft::program
