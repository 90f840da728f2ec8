// SPDX-License-Identifier: Apache-2.0
#include <graft/text/jinja_form.hpp>

#include "support/catch.hpp"

using graft::text::jinja_form;

TEST_CASE("templates that render alike have one form", "[text]") {
  const std::string form = jinja_form("{% for m in x %}{{ 'a\\n' + m['content'] }}{% endfor %}");
  CHECK(jinja_form("{%for m in x%}{{\"a\\n\"+m['content']}}{%endfor%}") == form);
  CHECK(jinja_form("{% for m in x -%}\n  {{ 'a\n' + m.content }}{% endfor %}\n") == form);
  CHECK(jinja_form("{% for m in x %}\n{{- 'a\\n' + m['content'] -}}\n\n  {% endfor %}") == form);
  CHECK(jinja_form("{% for m in x %}\n\t{% if y %}") == jinja_form("{% for m in x %}{% if y %}"));
}

TEST_CASE("templates that render differently have different forms", "[text]") {
  const std::string form = jinja_form("{% if a %}{{ 'x' }}{% endif %}");
  for (const char* other :
       {"{% if a %}{{ 'x ' }}{% endif %}", "{% if a %} {{ 'x' }}{% endif %}", "{% if b %}{{ 'x' }}{% endif %}",
        "{% if a %}{{ 'x' }}\n{% endif %}", "{% if a %}{{ 'x' }}{% endif %}y", "{% if a %}\n\n{{ 'x' }}{% endif %}",
        "{% if a %}{{ 'x", ""}) {
    INFO(other);
    CHECK(jinja_form(other) != form);
  }
}
