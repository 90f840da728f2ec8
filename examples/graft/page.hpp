// SPDX-License-Identifier: Apache-2.0
// What a page of graft report is made of: page/report.css, page/report.js, and Chart.js, as they were when the program was built.
#pragma once

#include <string_view>

namespace graft::program::page {

extern const std::string_view style, script;
/// Chart.js of Debian's libjs-chart.js (https://www.chartjs.org, MIT licence, which its first lines name); empty where that
/// was not installed.
extern const std::string_view chart_js;

}  // namespace graft::program::page
