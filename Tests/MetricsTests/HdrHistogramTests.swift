import Metrics
import TestSupport
import Testing

@Suite struct HdrHistogramTests {
    @Test(arguments: [
        (0, 0, 0), (1, 1, 1), (2_047, 2_047, 2_047), (2_048, 2_048, 2_049), (2_049, 2_048, 2_049),
        (4_095, 4_094, 4_095), (4_096, 4_096, 4_099), (1_000_000, 999_936, 1_000_447),
        (3_599_999_999_999, 3_599_182_594_048, 3_601_330_077_695),
    ])
    func aValueLiesInItsBucket(value: Int, lowest: Int, highest: Int) {
        var histogram = HdrHistogram()
        histogram.record(value)
        #expect(histogram.buckets.map { [$0.lowest, $0.highest] } == [[lowest, highest]])
        #expect(histogram.percentile(50) == value)
        #expect(histogram.maximum == value && histogram.minimum == value)
    }

    /// Bucket follows bucket without a gap, and none is wider than a thousandth of what it holds.
    @Test func threeDigitsEverywhere() throws {
        let large = (12..<62).flatMap { power in [0, 1, 517, 1_022, 1_023].map { (1 << power) + $0 << (power - 10) } }
        for value in Array(stride(from: 0, through: 4_099, by: 41)) + [2_047, 2_048] + large {
            var histogram = HdrHistogram(highestTrackable: .max)
            histogram.record(value)
            let bucket = try #require(histogram.buckets.first)
            #expect(bucket.lowest <= value && value <= bucket.highest)
            #expect(bucket.highest - bucket.lowest <= bucket.lowest / 1_000)
            histogram.record(bucket.lowest)
            histogram.record(bucket.highest)
            histogram.record(bucket.highest + 1)
            #expect(histogram.buckets.map(\.count) == [3, 1])
            #expect(histogram.buckets.last?.lowest == bucket.highest + 1)
        }
    }

    @Test func nothingWasRecorded() {
        let histogram = HdrHistogram()
        #expect(histogram.count == 0 && histogram.minimum == 0 && histogram.maximum == 0)
        #expect(histogram.percentile(99) == 0 && histogram.mean == 0 && histogram.buckets.isEmpty)
    }

    @Test func whatIsOutOfRangeIsClampedAndCounted() {
        var histogram = HdrHistogram(highestTrackable: 1_000)
        for value in [-1, 0, 1_000, 1_001, .min, .max] { histogram.record(value) }
        #expect(histogram.count == 6)
        #expect(histogram.clamped == 4)
        #expect(histogram.minimum == 0 && histogram.maximum == 1_000)
        #expect(histogram.buckets.map(\.count) == [3, 3])
        histogram.record(5_000, times: 3)
        #expect(histogram.clamped == 7 && histogram.count == 9)
    }

    @Test(arguments: [(0.0, 1), (1, 1), (1.4, 1), (1.5, 2), (50, 50), (99, 99), (99.4, 99), (100, 100), (200, 100)])
    func percentilesOfOneToAHundred(percent: Double, value: Int) {
        var histogram = HdrHistogram()
        for value in 1...100 { histogram.record(value) }
        #expect(histogram.percentile(percent) == value)
        #expect(histogram.mean == 50.5)
    }

    @Test func noPercentileLiesAboveTheMaximum() {
        var histogram = HdrHistogram()
        histogram.record(1_000_001)
        #expect(histogram.percentile(100) == 1_000_001)
    }

    @Test func mergedIsAsRecordedTogether() {
        var together = HdrHistogram(highestTrackable: 1_000_000)
        var parts = [together, together, together]
        for (number, value) in Values(seed: 7).prefix(3_000).enumerated() {
            together.record(value)
            parts[number % 3].record(value)
        }
        var merged = HdrHistogram(highestTrackable: 1_000_000)
        for part in parts { merged.merge(part) }
        #expect(merged.buckets == together.buckets)
        #expect(merged.count == together.count && merged.clamped == together.clamped && merged.clamped > 0)
        #expect(merged.minimum == together.minimum && merged.maximum == together.maximum)
        merged.reset()
        #expect(merged.count == 0 && merged.clamped == 0 && merged.buckets.isEmpty && merged.maximum == 0)
    }

    /// Values of every magnitude up to 2^53, the same as those of `script`.
    private struct Values: Sequence, IteratorProtocol {
        var state: UInt64

        init(seed: UInt64) { state = seed }

        mutating func next() -> Int? {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int((state >> 11) >> ((state >> 3) % 53))
        }
    }

    private static let script = """
        import sys
        from hdrh.histogram import HdrHistogram
        state, number, highest = (int(a) for a in sys.argv[1:])
        histogram = HdrHistogram(1, highest, 3)
        for _ in range(number):
            state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
            value = (state >> 11) >> ((state >> 3) % 53)
            assert histogram.record_value(min(value, highest))
        print(histogram.get_total_count(), histogram.get_min_value(), repr(histogram.get_mean_value()))
        print(*(histogram.get_value_at_percentile(p) for p in (0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100)))
        print(*(f"{i.value_iterated_to}:{i.count_added_in_this_iter_step}" for i in histogram.get_recorded_iterator()))
        """

    @Test(
        .enabled("needs PyPI") { await Python.isAvailable() },
        arguments: [(1, 60_000_000_000), (2, 3_600_000_000_000), (3, 2_048), (4, 1)] as [(UInt64, Int)])
    func agreesWithPyPI(seed: UInt64, highest: Int) async throws {
        let number = 20_000
        var histogram = HdrHistogram(highestTrackable: highest)
        for value in Values(seed: seed).prefix(number) { histogram.record(value) }
        let output = try await Python.run(Self.script, ["\(seed)", "\(number)", "\(highest)"])
        let lines = output.split(separator: "\n").map { $0.split(separator: " ") }
        try #require(lines.count == 3)
        #expect(lines[0][0] == "\(histogram.count)")
        #expect(lines[0][1] == "\(histogram.minimum)")
        let mean = try #require(Double(lines[0][2]))
        #expect(abs(histogram.mean - mean) <= mean * 1e-12)
        // Theirs is the highest value of the bucket, even if none so high was recorded.
        let percentiles = try lines[1].map { min(try #require(Int($0)), histogram.maximum) }
        #expect([0.1, 1, 10, 25, 50, 75, 90, 99, 99.9, 99.99, 100].map(histogram.percentile) == percentiles)
        #expect(histogram.buckets.map { "\($0.highest):\($0.count)" } == lines[2].map(String.init))
    }
}
