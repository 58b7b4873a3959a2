"use strict";
/* Makes the page live: copy button, stepping through the diagram, linked timeline. Without it the page reads as well. */

(() => {
  const find = (selector, from = document) => from.querySelector(selector);
  const all = (selector, from = document) => [...from.querySelectorAll(selector)];

  copyButton();
  all("figure.spacetime").forEach(stepper);
  if (find("#live") && find("#data")) timeline(JSON.parse(find("#data").textContent));
  if (find("#runs")) runFilter();
  toldOnPaper();

  function copyButton() {
    const button = find("#copy");
    if (!button) return;
    button.hidden = false;
    button.addEventListener("click", async () => {
      const command = find("#command");
      try {
        await navigator.clipboard.writeText(command.textContent);
      } catch {
        getSelection().selectAllChildren(command);
        document.execCommand("copy");
      }
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = "Copy"; }, 1500);
    });
  }

  /* One step at a time: what comes later is faint, the current step is said in a sentence. */
  function stepper(figure) {
    const steps = all("g.step", figure);
    const told = all(".told li", figure);
    const bar = find(".stepper", figure);
    const output = find("output", bar);
    let at = 0;
    const show = (next) => {
      at = Math.max(0, Math.min(steps.length, next));
      figure.classList.toggle("stepping", at > 0);
      figure.dataset.at = at;
      steps.forEach((step, place) => {
        step.classList.toggle("later", at > 0 && place >= at);
        step.classList.toggle("now", place === at - 1);
      });
      told.forEach((line, place) => line.classList.toggle("now", place === at - 1));
      const current = steps[at - 1];
      output.textContent = current
        ? `${at} of ${steps.length}: ${find("title", current).textContent}`
        : `${steps.length} steps. Go through them with the arrows, or click one.`;
      output.classList.toggle("conflict", Boolean(current && current.classList.contains("conflict")));
      if (current) bringIntoView(find(".scroll", figure), find(".mark", current));
    };
    bar.hidden = false;
    all("button", bar).forEach((button) => button.addEventListener("click", () => show(at + Number(button.dataset.go))));
    steps.forEach((step, place) => step.addEventListener("click", () => show(place + 1)));
    figure.addEventListener("keydown", (event) => {
      if (event.altKey || event.ctrlKey || event.metaKey) return;
      const move = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
      if (move) show(at + move);
      else if (event.key === "Home") show(1);
      else if (event.key === "End") show(steps.length);
      else if (event.key === "Escape") show(0);
      else return;
      event.preventDefault();
    });
    show(0);
  }

  /* Nobody can open what is folded up on paper. */
  function toldOnPaper() {
    let opened = [];
    addEventListener("beforeprint", () => {
      opened = all("details:not([open])");
      opened.forEach((details) => { details.open = true; });
    });
    addEventListener("afterprint", () => opened.forEach((details) => { details.open = false; }));
  }

  /* On a narrow screen the lane of the step may be outside. */
  function bringIntoView(holder, mark) {
    const frame = holder.getBoundingClientRect();
    const { left, right } = mark.getBoundingClientRect();
    if (left < frame.left + 20 || right > frame.right - 110) holder.scrollLeft += left - frame.left - frame.width / 3;
  }

  /* The index of a store: words and a verdict filter the rows. */
  function runFilter() {
    const words = find("#words");
    const verdict = find("#verdict-filter");
    const rows = all("#runs tbody tr");
    const apply = () => {
      const wanted = words.value.toLowerCase().split(/\s+/).filter(Boolean);
      let shown = 0;
      rows.forEach((row) => {
        const text = row.textContent.toLowerCase();
        const fits = wanted.every((word) => text.includes(word)) && (!verdict.value || row.dataset.verdict === verdict.value);
        row.hidden = !fits;
        shown += fits;
      });
      find("#shown").textContent = `${shown} of ${rows.length}`;
    };
    find(".filters").hidden = false;
    words.addEventListener("input", apply);
    verdict.addEventListener("change", apply);
    apply();
  }

  function timeline(data) {
    const unpack = (text, Kind) => new Kind(Uint8Array.from(atob(text), (letter) => letter.charCodeAt(0)).buffer);
    const points = data.points;
    const unit = points.unit_us / 1e6;
    const pointTime = Array.from(unpack(points.time, Uint32Array), (time) => time * unit);
    const pointLatency = Array.from(unpack(points.latency, Uint32Array), (time) => Math.max(0.001, time * unit * 1e3));
    const pointOutcome = unpack(points.outcome, Uint8Array);
    const pointFunction = unpack(points.f, Uint8Array);
    const pointKey = unpack(points.key, Uint16Array);
    const pointClient = unpack(points.client, Uint16Array);
    const pointSeq = unpack(points.seq, Uint32Array);
    const width = data.window_us / 1e6;
    const duration = data.duration_us / 1e6;
    const windows = data.available.length;
    const begins = Array.from({ length: windows }, (_, place) => place * width);
    const edges = [...begins, duration];
    const middles = begins.map((begin) => Math.min(begin + width / 2, duration));
    const words = { ok: "succeeded", fail: "failed", info: "unknown" };
    const bars = data.lanes.flatMap((lane, row) => lane.bars.map((bar) => ({
      ...bar, kind: lane.kind, device: lane.device, row, begin: bar.begin / 1e6, end: bar.end / 1e6,
    })));
    const axisWidth = 76;
    const readout = find("#readout");
    const holder = find("#panels");
    const panelWidth = () => Math.max(240, find("#live").clientWidth);
    let charts = [];
    let colours = {};
    let pointed = null;

    const number = (value, digits = 3) => value === null || value === undefined ? "–" : Number(value.toPrecision(digits)).toLocaleString("en");
    const readColours = () => {
      const style = getComputedStyle(document.documentElement);
      colours = Object.fromEntries(
        ["card", "ink", "quiet", "line", "ok", "info", "fail", "q50", "q95", "q99", "alarm", "process", "link", "disk", "clock", "other"]
          .map((name) => [name, style.getPropertyValue(`--${name}`).trim()]));
    };

    const box = (chart, begin, end, low, high, scale = "y") => {
      const left = Math.max(chart.bbox.left, chart.valToPos(begin, "x", true));
      const right = Math.min(chart.bbox.left + chart.bbox.width, chart.valToPos(end, "x", true));
      const top = chart.valToPos(high, scale, true);
      return [left, top, Math.max(right - left, right > left ? 1.5 : 0), chart.valToPos(low, scale, true) - top];
    };
    const hatched = (context, rect, colour, step = 7) => {
      const [x, y, w, h] = rect;
      if (w <= 0) return;
      context.save();
      context.beginPath();
      context.rect(x, y, w, h);
      context.clip();
      context.strokeStyle = colour;
      context.lineWidth = 1.4;
      context.beginPath();
      for (let at = x - h; at < x + w; at += step) { context.moveTo(at, y + h); context.lineTo(at + h, y); }
      context.stroke();
      context.restore();
      context.strokeStyle = colour;
      context.strokeRect(x + 0.5, y + 0.5, Math.max(0, w - 1), h - 1);
    };
    const faultBands = (chart) => {
      const context = chart.ctx;
      context.save();
      context.globalAlpha = 0.12;
      for (const [device, spans] of Object.entries(data.shaded)) {
        context.fillStyle = colours[device];
        for (const [begin, end] of spans) {
          const left = Math.max(chart.bbox.left, chart.valToPos(begin / 1e6, "x", true));
          const right = Math.min(chart.bbox.left + chart.bbox.width, chart.valToPos(end / 1e6, "x", true));
          if (right > left) context.fillRect(left, chart.bbox.top, right - left, chart.bbox.height);
        }
      }
      context.restore();
    };

    const timeAxis = (named) => ({
      stroke: colours.quiet, grid: { stroke: colours.line, width: 1 }, ticks: { show: named, stroke: colours.line, size: 5 },
      values: (chart, splits) => splits.map((split) => (named ? `${Number(split.toFixed(6))} s` : "")), size: named ? 30 : 2, space: 70,
    });
    /* Powers of ten; with less than two of them in view also 2 and 5 times those. */
    const decades = (chart, axis, low, high) => {
      const found = [];
      const powers = Math.floor(Math.log10(high * 1.001)) - Math.ceil(Math.log10(low * 0.999)) + 1;
      const factors = powers > 2 ? [1] : high > 3 * low ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 6, 7, 8, 9];
      for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
        for (const factor of factors) {
          const value = factor * 10 ** power;
          if (value >= low * 0.999 && value <= high * 1.001) found.push(value);
        }
      }
      return found;
    };
    const latencyAxis = () => valueAxis((chart, splits) => splits.map((split) => `${number(split)} ms`), { splits: decades });
    const latencyScale = { distr: 3, log: 10, range: (chart, low, high) => [(low || 1) / 1.5, (high || 10) * 1.5] };
    const valueAxis = (values, extra = {}) => ({
      stroke: colours.quiet, grid: { stroke: colours.line, width: 1 }, ticks: { show: false }, size: axisWidth, values, ...extra,
    });
    const options = (height, axis, extra) => ({
      width: panelWidth(),
      height,
      legend: { show: false },
      padding: [8, 12, extra.showTime ? 0 : 6, 0],
      cursor: {
        sync: { key: "run", setSeries: false, scales: ["x", null] }, drag: { x: true, y: false, setScale: true },
        points: { show: false }, y: false,
      },
      ...extra,
      scales: { x: { time: false, min: 0, max: duration }, ...(extra.scales || {}) },
      axes: [timeAxis(extra.showTime === true), axis],
      hooks: {
        drawClear: extra.plain ? [] : [faultBands],
        setScale: [(chart, key) => { if (key === "x") follow(chart); }],
        setCursor: [tell],
        ...(extra.hooks || {}),
      },
    });

    const makers = {
      lanes: (element) => new uPlot(options(Math.max(1, data.lanes.length) * 24 + 8, valueAxis(
        () => data.lanes.map((lane, row) => (row && data.lanes[row - 1].kind === lane.kind ? "" : lane.kind)),
        { splits: () => data.lanes.map((_, row) => -row - 0.5), grid: { show: false }, gap: 4 },
      ), {
        plain: true,
        scales: { y: { range: () => [-Math.max(1, data.lanes.length), 0] } },
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: { draw: [(chart) => {
          for (const bar of bars) {
            const rect = box(chart, bar.begin, bar.end, -bar.row - 0.84, -bar.row - 0.16);
            if (rect[2] <= 0) continue;
            if (bar.landed) { chart.ctx.fillStyle = colours[bar.device]; chart.ctx.fillRect(...rect); }
            else hatched(chart.ctx, rect, colours[bar.device]);
          }
        }] },
      }), [[0, duration], [0, 0]], element),

      points: (element) => new uPlot(options(250, latencyAxis(), {
        scales: { y: latencyScale },
        series: [{}, { paths: () => null, points: { show: false } }],
        hooks: { draw: [drawPoints] },
      }), [pointTime, pointLatency], element),

      quantiles: (element) => new uPlot(options(170, latencyAxis(), {
        scales: { y: latencyScale },
        series: [{}, ...[["p50", [], 2], ["p95", [8, 4], 1.6], ["p99", [2, 3], 1.6]].map(([name, dash, wide]) => ({
          label: name, stroke: colours[`q${name.slice(1)}`], width: wide, dash, points: { show: true, size: 3.5, fill: colours[`q${name.slice(1)}`] }, spanGaps: false,
        }))],
      }), [middles, data.quantiles.p50, data.quantiles.p95, data.quantiles.p99], element),

      throughput: (element) => {
        const { ok, fail, info } = data.throughput;
        const sums = [ok.map((rate, at) => rate + fail[at] + info[at]), ok.map((rate, at) => rate + fail[at]), ok];
        const paths = uPlot.paths.stepped({ align: 1 });
        return new uPlot(options(140, valueAxis((chart, splits) => splits.map((split) => `${number(split)}/s`)), {
          scales: { y: { range: (chart, low, high) => [0, Math.max(1, high * 1.08)] } },
          series: [{}, ...["info", "fail", "ok"].map((outcome) => ({
            label: words[outcome], fill: colours[outcome], stroke: colours[outcome], width: 1, paths, points: { show: false },
          }))],
        }), [edges, ...sums.map((sum) => [...sum, sum[sum.length - 1]])], element);
      },

      available: (element) => new uPlot(options(62, valueAxis(() => []), {
        showTime: true,
        scales: { y: { range: () => [0, 1] } },
        series: [{}, { paths: () => null, points: { show: false } }],
        plain: true,
        hooks: { draw: [(chart) => {
          for (let at = 0; at < windows;) {
            let end = at + 1;
            while (end < windows && data.available[end] === data.available[at]) end += 1;
            const rect = box(chart, at * width, Math.min(end * width, duration), 0.1, 0.9);
            if (rect[2] > 0 && data.available[at] === 1) { chart.ctx.fillStyle = colours.ok; chart.ctx.fillRect(...rect); }
            if (rect[2] > 0 && data.available[at] === 0) hatched(chart.ctx, rect, colours.alarm);
            at = end;
          }
        }] },
      }), [[0, duration], [0, 0]], element),
    };

    function drawPoints(chart) {
      const context = chart.ctx;
      const low = chart.scales.x.min;
      const high = chart.scales.x.max;
      const ratio = devicePixelRatio || 1;
      context.save();
      context.beginPath();
      context.rect(chart.bbox.left, chart.bbox.top, chart.bbox.width, chart.bbox.height);
      context.clip();
      points.outcomes.forEach((outcome, code) => {
        const size = (outcome === "ok" ? 1.4 : 3.2) * ratio;
        context.beginPath();
        for (let at = 0; at < pointTime.length; at += 1) {
          if (pointOutcome[at] !== code || pointTime[at] < low || pointTime[at] > high) continue;
          const x = chart.valToPos(pointTime[at], "x", true);
          const y = chart.valToPos(pointLatency[at], "y", true);
          if (outcome === "ok") context.rect(x - size, y - size, 2 * size, 2 * size);
          else if (outcome === "fail") {
            context.moveTo(x - size, y - size); context.lineTo(x + size, y + size);
            context.moveTo(x + size, y - size); context.lineTo(x - size, y + size);
          } else { context.moveTo(x, y - size); context.lineTo(x + size, y + size); context.lineTo(x - size, y + size); context.closePath(); }
        }
        context.fillStyle = context.strokeStyle = colours[outcome];
        context.lineWidth = 1.3 * ratio;
        context.globalAlpha = outcome === "ok" ? 0.55 : 0.95;
        if (outcome === "ok") context.fill(); else context.stroke();
      });
      context.restore();
    }

    function follow(chart) {
      const { min, max } = chart.scales.x;
      for (const other of charts) {
        if (other !== chart && (other.scales.x.min !== min || other.scales.x.max !== max)) other.setScale("x", { min, max });
      }
      const panel = chart.root.parentElement;
      if (panel) panel.dataset.range = `${min} ${max}`;
    }

    function nearestPoint(chart) {
      const { left, top } = chart.cursor;
      const at = chart.cursor.idx;
      if (at === null || at === undefined || top < 0) return -1;
      let best = -1;
      let distance = 14 * 14;
      for (let place = Math.max(0, at - 1500); place < Math.min(pointTime.length, at + 1500); place += 1) {
        const dx = chart.valToPos(pointTime[place], "x") - left;
        const dy = chart.valToPos(pointLatency[place], "y") - top;
        if (dx * dx + dy * dy < distance) { distance = dx * dx + dy * dy; best = place; }
      }
      return best;
    }

    function tell(chart) {
      if (chart.cursor.left < 0 || chart.cursor.event === null || chart.cursor.event === undefined) return;
      readout.setAttribute("aria-live", "off");
      const near = chart.root.parentElement.dataset.panel === "points" ? nearestPoint(chart) : -1;
      pointed = chart.posToVal(chart.cursor.left, "x");
      say(pointed, near);
    }

    function say(time, near) {
      const at = Math.max(0, Math.min(windows - 1, Math.floor(time / width)));
      const parts = [["time", `${time.toFixed(3)} s`]];
      const on = bars.filter((bar) => bar.begin <= time && time <= bar.end).map((bar) => `${bar.kind} ${bar.targets}${bar.landed ? "" : " (did not land)"}`);
      parts.push(["faults", on.join(", ") || "none"]);
      parts.push(["p50 · p95 · p99", `${["p50", "p95", "p99"].map((name) => number(data.quantiles[name][at])).join(" · ")} ms`]);
      parts.push(["per second", ["ok", "fail", "info"].map((name) => `${number(data.throughput[name][at])} ${words[name]}`).join(" · ")]);
      parts.push(["", ["outage", "available"][data.available[at]] || "nothing was asked"]);
      if (near >= 0) {
        parts.push(["operation", `${points.functions[pointFunction[near]]} ${points.keys[pointKey[near]]}, ${number(pointLatency[near])} ms, `
          + `${words[points.outcomes[pointOutcome[near]]]} (client ${points.clients[pointClient[near]]}, operation ${pointSeq[near]})`]);
      }
      readout.replaceChildren(...parts.flatMap(([name, value], place) => {
        const strong = document.createElement("b");
        strong.textContent = value;
        return [document.createTextNode(`${place ? "   " : ""}${name ? `${name} ` : ""}`), strong];
      }));
    }

    function build() {
      const range = charts.length ? { min: charts[0].scales.x.min, max: charts[0].scales.x.max } : null;
      charts.forEach((chart) => chart.destroy());
      readColours();
      charts = all("[data-panel]", holder).map((element) => makers[element.dataset.panel](element));
      if (range) charts[0].setScale("x", range);
      holder.dataset.panels = charts.length;
    }

    /* Without a mouse: the reading line goes on by one window, and what it says is announced. */
    function read(step) {
      const { min, max } = charts[0].scales.x;
      const from = pointed === null || pointed < min || pointed > max ? (min + max) / 2 : pointed + step * width;
      pointed = Math.max(min, Math.min(max, (Math.floor(from / width) + 0.5) * width));
      readout.setAttribute("aria-live", "polite");
      charts.forEach((chart) => chart.setCursor({ left: chart.valToPos(pointed, "x"), top: 0 }, false));
      say(pointed, -1);
    }

    function zoom(how) {
      const { min, max } = charts[0].scales.x;
      const length = max - min;
      const [low, high] = {
        in: [min + length / 4, max - length / 4], out: [min - length / 2, max + length / 2],
        left: [min - length / 4, max - length / 4], right: [min + length / 4, max + length / 4], all: [0, duration],
      }[how];
      const size = Math.min(high - low, duration);
      const begin = Math.max(0, Math.min(low, duration - size));
      if (size > 1e-6) charts[0].setScale("x", { min: begin, max: begin + size });
    }

    find("#live").hidden = false;
    build();
    find("#static").hidden = true;
    all("[data-zoom]").forEach((button) => button.addEventListener("click", () => zoom(button.dataset.zoom)));
    holder.addEventListener("dblclick", () => zoom("all"));
    holder.addEventListener("keydown", (event) => {
      if (event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) {
        event.preventDefault();
        read(event.key === "ArrowRight" ? 1 : -1);
        return;
      }
      const how = { "+": "in", "=": "in", "-": "out", ArrowLeft: "left", ArrowRight: "right", 0: "all" }[event.key];
      if (!how || event.altKey || event.ctrlKey || event.metaKey) return;
      event.preventDefault();
      zoom(how);
    });
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", build);
    let known = panelWidth();
    new ResizeObserver(() => {
      if (panelWidth() === known) return;
      known = panelWidth();
      charts.forEach((chart) => chart.setSize({ width: known, height: chart.height }));
    }).observe(find("#live"));
  }
})();
