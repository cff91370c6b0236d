/// A line plot as SVG: axes, a few ticks, a legend. No library of the distribution draws one without a display or an interpreter.
struct Plot: Sendable {
    struct Line: Sendable {
        var name: String
        var points: [(x: Double, y: Double)]
    }

    var title: String
    var xName: String
    var yName: String
    var lines: [Line]
    /// What to write at places on the x axis, where its numbers would mean nothing.
    var xTicks: [(x: Double, text: String)]?
    var isLogarithmic = false

    private static let (width, height, left, top) = (760.0, 360.0, 70.0, 40.0)
    private static let (plotWidth, plotHeight) = (500.0, 260.0)
    private static let colours = [
        "#1b6ca8", "#d1495b", "#3a7d44", "#edae49", "#6b4e9b", "#5f6b6d", "#00798c", "#c77dba", "#7a4419", "#9bc53d",
        "#222222", "#f18f01",
    ]

    var svg: String {
        let points = lines.flatMap(\.points)
        let xs =
            (points.map(\.x).min() ?? 0)...(Swift.max(points.map(\.x).max() ?? 1, (points.map(\.x).min() ?? 0) + 1e-9))
        let top = Swift.max(points.map(\.y).max() ?? 1, 1e-9)
        let ys =
            isLogarithmic ? Swift.max(points.map(\.y).filter { $0 > 0 }.min() ?? 1, 1e-3)...Swift.max(top, 1) : 0...top
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(Int(Self.width)) \(Int(Self.height))" font-family="sans-serif" font-size="12">
            <rect width="100%" height="100%" fill="white"/>
            <text x="\(Self.left)" y="22" font-size="15">\(title)</text>
            <text x="\(Self.left + Self.plotWidth / 2)" y="\(Self.height - 12)" text-anchor="middle">\(xName)</text>
            <text x="16" y="\(Self.top + Self.plotHeight / 2)" transform="rotate(-90 16 \(Self.top + Self.plotHeight / 2))" text-anchor="middle">\(yName)</text>

            """
        text += axes(xs, ys)
        for (index, line) in lines.enumerated() {
            let colour = Self.colours[index % Self.colours.count]
            let path = line.points.map { "\(rounded(x($0.x, xs))),\(rounded(y($0.y, ys)))" }.joined(separator: " ")
            text += "<polyline points=\"\(path)\" fill=\"none\" stroke=\"\(colour)\" stroke-width=\"2\"/>\n"
            let legend = Self.top + 10 + Double(index) * 18
            text +=
                "<rect x=\"\(Self.left + Self.plotWidth + 14)\" y=\"\(legend - 8)\" width=\"10\" height=\"10\" fill=\"\(colour)\"/>"
            text += "<text x=\"\(Self.left + Self.plotWidth + 30)\" y=\"\(legend + 1)\">\(line.name)</text>\n"
        }
        return text + "</svg>\n"
    }

    private func x(_ value: Double, _ range: ClosedRange<Double>) -> Double {
        Self.left + Self.plotWidth * (value - range.lowerBound) / (range.upperBound - range.lowerBound)
    }

    private func y(_ value: Double, _ range: ClosedRange<Double>) -> Double {
        let share =
            isLogarithmic
            ? log10(Swift.max(value, range.lowerBound), over: range)
            : (value - range.lowerBound) / (range.upperBound - range.lowerBound)
        return Self.top + Self.plotHeight * (1 - share)
    }

    private func log10(_ value: Double, over range: ClosedRange<Double>) -> Double {
        (logarithm(value) - logarithm(range.lowerBound))
            / Swift.max(logarithm(range.upperBound) - logarithm(range.lowerBound), 1e-9)
    }

    private func axes(_ xs: ClosedRange<Double>, _ ys: ClosedRange<Double>) -> String {
        let bottom = Self.top + Self.plotHeight
        var text =
            "<path d=\"M\(Self.left) \(Self.top)V\(bottom)H\(Self.left + Self.plotWidth)\" fill=\"none\" stroke=\"#444\"/>\n"
        for value in yTicks(ys) {
            let place = rounded(y(value, ys))
            text += "<path d=\"M\(Self.left) \(place)h\(Self.plotWidth)\" stroke=\"#ddd\"/>"
            text += "<text x=\"\(Self.left - 6)\" y=\"\(place + 4)\" text-anchor=\"end\">\(number(value))</text>\n"
        }
        let ticks =
            xTicks
            ?? (0...5).map { step in
                let value = xs.lowerBound + (xs.upperBound - xs.lowerBound) * Double(step) / 5
                return (value, number(value))
            }
        for tick in ticks {
            text +=
                "<text x=\"\(rounded(x(tick.x, xs)))\" y=\"\(bottom + 18)\" text-anchor=\"middle\">\(tick.text)</text>\n"
        }
        return text
    }

    private func yTicks(_ range: ClosedRange<Double>) -> [Double] {
        guard isLogarithmic else { return (0...5).map { range.upperBound * Double($0) / 5 } }
        var (ticks, value) = ([Double](), 0.001)
        while value <= range.upperBound {
            if value >= range.lowerBound { ticks.append(value) }
            value *= 10
        }
        return ticks
    }

    private func rounded(_ value: Double) -> Double { (value * 10).rounded() / 10 }
}

extension Report {
    /// Latency over percentiles, throughput over time, CPU over rate, throughput over dispatchers: of what was run.
    var plots: [Plot] {
        [latencyPlot, coursePlot, costPlot, sharingPlot].compactMap { $0 }.filter { plot in
            plot.lines.contains { $0.points.count > 1 }
        }
    }

    /// The x axis is the number of nines: each step shows a tenth of what is beyond the one before.
    private var latencyPlot: Plot? {
        let names = ["latency at 1000/s", "latency at 10000/s", "end to end", "nobody hangs", "1 % hang"]
        let lines = results.filter { names.contains($0.name) && $0.delivery.count > 0 }.map { result in
            Plot.Line(
                name: result.name,
                points: result.delivery.curve.filter { $0.percent < 100 }.map {
                    (-logarithm(1 - $0.percent / 100), $0.milliseconds)
                })
        }
        return Plot(
            title: "Sent to delivered", xName: "percentile", yName: "milliseconds", lines: lines,
            xTicks: [0, 90, 99, 99.9, 99.99, 99.999].map { (-logarithm(1 - $0 / 100), "\($0)") }, isLogarithmic: true)
    }

    private var coursePlot: Plot? {
        guard
            let result = results.first(where: { $0.name == "end to end" })
                ?? results.first(where: { $0.course.count > 2 })
        else { return nil }
        func line(_ name: String, _ path: KeyPath<Moment, Int>) -> Plot.Line {
            let pairs = zip(result.course, result.course.dropFirst())
            return Plot.Line(
                name: name,
                points: pairs.map {
                    (
                        $1.seconds,
                        Double($1[keyPath: path] - $0[keyPath: path]) / Swift.max($1.seconds - $0.seconds, 0.1)
                    )
                })
        }
        return Plot(
            title: "\(result.name): events a second", xName: "seconds", yName: "events a second",
            lines: [line("sent", \.sent), line("accepted", \.accepted), line("delivered", \.delivered)])
    }

    private var costPlot: Plot? {
        guard let steps = scenarios.first(where: { $0.name == "steps" })?.results, steps.count > 1 else { return nil }
        var names: [String] = []
        for share in steps.flatMap(\.processes) where !names.contains(share.name) { names.append(share.name) }
        let lines = names.map { name in
            Plot.Line(name: name, points: steps.map { ($0.offered, $0.perEvent(name)) })
        }
        let total = Plot.Line(name: "all", points: steps.map { ($0.offered, $0.cpuPerEvent) })
        return Plot(
            title: "CPU an event, by rate", xName: "events a second", yName: "µs",
            lines: [total] + lines.filter { line in line.points.contains { $0.y > 1 } })
    }

    private var sharingPlot: Plot? {
        let runs = (scenarios.first { $0.name == "dispatchers" }?.results ?? []).compactMap { result in
            result.name.split(separator: " ").first.flatMap { Double($0) }.map { (count: $0, rate: result.rate) }
        }
        guard let one = runs.first, runs.count > 1 else { return nil }
        return Plot(
            title: "A filled topic, by the number of dispatchers", xName: "dispatchers on one machine",
            yName: "events a second",
            lines: [
                Plot.Line(name: "measured", points: runs.map { ($0.count, $0.rate) }),
                Plot.Line(name: "as much as one", points: runs.map { ($0.count, one.rate) }),
            ], xTicks: runs.map { ($0.count, "\(Int($0.count))") })
    }
}
