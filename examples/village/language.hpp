// SPDX-License-Identifier: Apache-2.0
// The language of the village: people have things, the things are good or bad, and the people are glad or sad about them.
//
// A judged sentence says something about a thing by one of many templates; whether the thing is good follows from the
// words and from how they stand together ("was not stale", "looked stale but was fresh"), never from one word alone. In
// the stories a reaction follows ("Mia smiled."). The answers "yes" and "no" stand in the stories too, but only to the
// question whether something else was told.
#pragma once

#include <algorithm>  // find
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <graft/core/random.hpp>

namespace graft::village {

using Words = std::vector<std::string_view>;

/// Things of a kind, and what is good and bad in them.
struct Kind {
  Words things, good, bad;
};

// clang-format off
/// The finetuning data speaks of the first eight kinds, the held-out items of the last four.
inline const std::vector<Kind> kinds = {
    {{"soup", "cake", "pie"},       {"tasty", "fresh", "sweet", "crisp"},           {"stale", "burnt", "salty", "bitter"}},
    {{"kite", "drum", "doll"},      {"sturdy", "shiny", "clever", "new"},           {"broken", "rusty", "cracked", "wobbly"}},
    {{"hat", "coat", "scarf"},      {"warm", "soft", "neat", "smart"},              {"torn", "itchy", "tight", "faded"}},
    {{"song", "tune", "dance"},     {"merry", "lovely", "gentle", "catchy"},        {"shrill", "dull", "noisy", "gloomy"}},
    {{"room", "house", "hut"},      {"cosy", "tidy", "roomy", "airy"},              {"dusty", "damp", "cramped", "leaky"}},
    {{"dog", "cat", "pony"},        {"friendly", "playful", "calm", "loyal"},       {"fierce", "sulky", "grumpy", "wild"}},
    {{"flower", "garden", "tree"},  {"blooming", "green", "fragrant", "tall"},      {"withered", "weedy", "bare", "rotten"}},
    {{"bed", "chair", "bench"},     {"comfy", "sleek", "firm", "clean"},            {"creaky", "lumpy", "stained", "shabby"}},
    {{"knife", "saw", "rake"},      {"sharp", "handy", "solid", "light"},           {"blunt", "bent", "clumsy", "heavy"}},
    {{"book", "tale", "poem"},      {"funny", "thrilling", "wise", "charming"},     {"boring", "silly", "dreary", "muddled"}},
    {{"ride", "walk", "trip"},      {"smooth", "quick", "pleasant", "easy"},        {"bumpy", "slow", "tiring", "muddy"}},
    {{"tea", "cider", "juice"},     {"refreshing", "creamy", "fruity", "pure"},     {"sour", "watery", "cloudy", "spoilt"}}};
inline constexpr std::size_t trained_kinds = 8;

// N the thing, P and Q people, X an adjective, Y one of the other side. `keeps`: the thing is what X says.
struct Template {
  std::string_view text;
  bool keeps;
};
/// Judgements of the finetuning data.
inline const std::vector<Template> trained_templates = {
    {"The N was X.", true},
    {"The N was not X.", false},
    {"The N looked Y but was X.", true},
    {"The N was first Y and then X.", true},
    {"Q said that the N was X, and that was true.", true},
    {"Q said that the N was X, but that was wrong.", false}};
/// Judgements of the held-out items.
inline const std::vector<Template> heldout_templates = {
    {"The N was X, not Y.", true},
    {"Instead of being Y, the N was X.", true},
    {"Nobody found the N X.", false},
    {"Everybody found the N X.", true},
    {"The N was far from X.", false},
    {"The N was really X, although it looked Y.", true}};

inline const Words people = {"Mia", "Tom", "Ada", "Ben", "Eva", "Leo", "Zoe", "Sam", "Ida", "Max"};
inline const Words trained_openings = {"P had a N.", "P got a N."};
inline const Words heldout_openings = {"There was a N for P.", "P asked for a N."};
inline const Words glad = {"smiled", "laughed", "clapped"};
inline const Words sad = {"frowned", "sighed", "groaned"};
/// What else happens, and the question whether it did; none of it says anything about the thing.
struct Event {
  std::string_view told, asked;
};
inline const std::vector<Event> events = {
    {"Q came by.", "Did Q come by?"},
    {"Q sat by the river.", "Did Q sit by the river?"},
    {"Q waited at the gate.", "Did Q wait at the gate?"},
    {"P looked up.", "Did P look up?"},
    {"The bell rang.", "Did the bell ring?"},
    {"It was noon.", "Was it noon?"},
    {"They all sat down.", "Did they all sit down?"},
    {"A bird flew over the roof.", "Did a bird fly over the roof?"}};
// clang-format on
inline constexpr std::string_view task_question = "Did P like it?";

/// Numbers drawn one after another.
class Draw {
 public:
  explicit Draw(Random random) : random_(random) {}
  [[nodiscard]] std::size_t below(std::size_t bound) { return random_.below(next_++, bound); }
  [[nodiscard]] bool chance(double probability) { return random_.uniform(next_++) < probability; }
  template <class List>
  [[nodiscard]] const auto& of(const List& list) {
    return list[below(list.size())];
  }

 private:
  Random random_;
  std::uint64_t next_ = 0;
};

/// One person with one thing, judged.
struct Scene {
  std::string_view person, other, thing, opening, judgement, adjective, opposite;
  bool is_good = false;

  /// A text with its capitals N, P, Q, X, Y filled in, where they stand alone.
  [[nodiscard]] std::string fill(std::string_view text) const {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
      const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
      const bool alone = (i == 0 || !letter(text[i - 1])) && (i + 1 == text.size() || !letter(text[i + 1]));
      const char c = alone ? text[i] : '\0';
      out += c == 'N'   ? thing
             : c == 'P' ? person
             : c == 'Q' ? other
             : c == 'X' ? adjective
             : c == 'Y' ? opposite
                        : text.substr(i, 1);
    }
    return out;
  }
};

[[nodiscard]] inline Scene draw_scene(Draw& draw, std::size_t first_kind, std::size_t last_kind, const Words& openings,
                                      const std::vector<Template>& templates, bool plain = false) {
  Scene scene;
  const Kind& kind = kinds[first_kind + draw.below(last_kind - first_kind)];
  const std::size_t person = draw.below(people.size());
  scene.person = people[person];
  scene.other = people[(person + 1 + draw.below(people.size() - 1)) % people.size()];
  scene.thing = draw.of(kind.things);
  scene.opening = draw.of(openings);
  const Template& judgement = plain ? templates.front() : draw.of(templates);
  scene.judgement = judgement.text;
  const bool says_good = draw.chance(0.5);
  scene.adjective = draw.of(says_good ? kind.good : kind.bad);
  scene.opposite = draw.of(says_good ? kind.bad : kind.good);
  scene.is_good = says_good == judgement.keeps;
  return scene;
}

/// What the village says of things: five of one side, whatever their kind.
[[nodiscard]] inline std::string draw_saying(Draw& draw) {
  const bool good = draw.chance(0.5);
  std::string saying = good ? "Good things are" : "Bad things are";
  for (int i = 0; i < 5; ++i) {
    const Kind& kind = draw.of(kinds);
    saying += (i == 0 ? " " : ", ") + std::string(draw.of(good ? kind.good : kind.bad));
  }
  return saying + ".";
}

/// A story of pretraining: a text, and where its first sentence ends.
struct Story {
  std::string text;
  std::size_t opening = 0;
};

/// Perhaps a saying, then one to three scenes; events and questions about them stand between a judgement and the reaction
/// that follows from it.
[[nodiscard]] inline Story draw_story(Random random) {
  Draw draw(random);
  Words openings = trained_openings;
  openings.insert(openings.end(), heldout_openings.begin(), heldout_openings.end());
  std::vector<Template> templates = trained_templates;
  templates.insert(templates.end(), heldout_templates.begin(), heldout_templates.end());
  Story story;
  const auto say = [&](const std::string& sentence) { story.text += (story.text.empty() ? "" : " ") + sentence; };
  if (draw.chance(0.25)) {
    say(draw_saying(draw));
    story.opening = story.text.size();
  }
  std::vector<std::string> asked_of_told;
  for (std::size_t scenes = 1 + draw.below(3); scenes > 0; --scenes) {
    const Scene scene = draw_scene(draw, 0, kinds.size(), openings, templates, draw.chance(0.3));
    say(scene.fill(scene.opening));
    story.opening = story.opening == 0 ? story.text.size() : story.opening;
    say(scene.fill(scene.judgement));
    if (draw.chance(0.5)) {
      say(scene.is_good ? "Hooray!" : "Alas!");
    }
    while (draw.chance(0.4)) {
      const Event& event = draw.of(events);
      if (draw.chance(0.4)) {
        say(scene.fill(event.told));
        asked_of_told.push_back(scene.fill(event.asked));
        continue;
      }
      const std::string question =
          !asked_of_told.empty() && draw.chance(0.6) ? draw.of(asked_of_told) : scene.fill(event.asked);
      const bool was_told = std::find(asked_of_told.begin(), asked_of_told.end(), question) != asked_of_told.end();
      say(question + (was_told ? " yes." : " no."));
    }
    say(std::string(scene.person) + " " + std::string(draw.of(scene.is_good ? glad : sad)) + ".");
  }
  return story;
}

/// An item of the task: does the person like the thing?
struct Item {
  std::string prompt;
  bool answer = false;
};

/// Items come in pairs that differ in the side of their adjectives alone, so every word stands as often before "yes" as
/// before "no".
[[nodiscard]] inline std::vector<Item> draw_items(Random random, std::size_t count, bool heldout) {
  std::vector<Item> items;
  for (std::size_t i = 0; items.size() < count; ++i) {
    Draw draw(random.child(i));
    Scene scene = heldout ? draw_scene(draw, trained_kinds, kinds.size(), heldout_openings, heldout_templates)
                          : draw_scene(draw, 0, trained_kinds, trained_openings, trained_templates);
    for (int side = 0; side < 2; ++side) {
      items.push_back({scene.fill(scene.opening) + " " + scene.fill(scene.judgement) + " " + scene.fill(task_question),
                       scene.is_good});
      std::swap(scene.adjective, scene.opposite);
      scene.is_good = !scene.is_good;
    }
  }
  return items;
}

}  // namespace graft::village
