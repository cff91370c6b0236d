/// A distribution in HdrHistogram's layout: whole numbers from 0 to a highest one, each kept to three significant digits, so that a
/// far percentile is as exact as a near one. For measuring; what Prometheus scrapes is `Histogram`.
///
/// Values are exact up to 2,047; above, each power of two is cut into 1,024 buckets of the same width. An hour in nanoseconds takes
/// 270 KB. Recording takes no lock and no memory: one per thread, merged afterwards.
public struct HdrHistogram: Sendable {
    /// The values from `lowest` to `highest` cannot be told apart.
    public struct Bucket: Equatable, Sendable {
        public var lowest: Int
        public var highest: Int
        /// How many values lie in this bucket.
        public var count: UInt64
        /// How many lie in this bucket or below it.
        public var total: UInt64

        /// The value that stands for the bucket in a mean.
        public var middle: Double { Double(lowest) + Double((highest - lowest + 1) / 2) }
    }

    /// Two to the power of this is the number of buckets for each power of two.
    private static let halfMagnitude = 10
    private static let half = 1 << halfMagnitude

    /// What lies above is counted as this value.
    public let highestTrackable: Int

    /// How many values were recorded, clamped ones included.
    public private(set) var count: UInt64 = 0

    /// How many values were negative or above `highestTrackable`: they are counted as 0 or as `highestTrackable`.
    public private(set) var clamped: UInt64 = 0

    /// The lowest and the highest value recorded, exactly; 0 where none was.
    public var minimum: Int { count == 0 ? 0 : lowestRecorded }
    public var maximum: Int { highestRecorded }

    private var lowestRecorded = Int.max
    private var highestRecorded = 0
    private var counts: [UInt64]

    /// Values up to `highestTrackable`, at least 1; by default an hour in nanoseconds.
    public init(highestTrackable: Int = 3_600_000_000_000) {
        precondition(highestTrackable >= 1, "there is something to track")
        self.highestTrackable = highestTrackable
        counts = [UInt64](repeating: 0, count: Self.index(of: highestTrackable) + 1)
    }

    /// Counts `value`, `times` times.
    public mutating func record(_ value: Int, times: UInt64 = 1) {
        guard times > 0 else { return }
        let kept = min(max(value, 0), highestTrackable)
        if kept != value { clamped += times }
        counts[Self.index(of: kept)] += times
        count += times
        lowestRecorded = min(lowestRecorded, kept)
        highestRecorded = max(highestRecorded, kept)
    }

    /// Adds what another histogram of the same range counted.
    public mutating func merge(_ other: HdrHistogram) {
        precondition(other.highestTrackable == highestTrackable, "histograms of one range")
        for index in other.used { counts[index] += other.counts[index] }
        count += other.count
        clamped += other.clamped
        lowestRecorded = min(lowestRecorded, other.lowestRecorded)
        highestRecorded = max(highestRecorded, other.highestRecorded)
    }

    /// Forgets everything, keeps its memory.
    public mutating func reset() {
        for index in used { counts[index] = 0 }
        count = 0
        clamped = 0
        lowestRecorded = .max
        highestRecorded = 0
    }

    /// The value that `percent` (0 to 100) of the values do not exceed: the highest of its bucket, but never above `maximum`; 0 where nothing
    /// was recorded.
    public func percentile(_ percent: Double) -> Int {
        guard count > 0 else { return 0 }
        precondition(percent >= 0, "a percentile is not negative")
        let wanted = max(1, UInt64(min(percent, 100) * Double(count) / 100 + 0.5))
        var total: UInt64 = 0
        for index in used {
            total += counts[index]
            if total >= wanted { return min(Self.highest(at: index), highestRecorded) }
        }
        return highestRecorded
    }

    /// The mean of the buckets' middles, within 0.05 % of the values' own; 0 where nothing was recorded.
    public var mean: Double {
        guard count > 0 else { return 0 }
        return buckets.reduce(0) { $0 + $1.middle * Double($1.count) } / Double(count)
    }

    /// The buckets with something in them, ascending: what a plot of the distribution is drawn from.
    public var buckets: [Bucket] {
        var total: UInt64 = 0
        return used.compactMap { index in
            guard counts[index] > 0 else { return nil }
            total += counts[index]
            return Bucket(
                lowest: Self.lowest(at: index), highest: Self.highest(at: index), count: counts[index], total: total)
        }
    }

    /// The places from the lowest value recorded to the highest.
    private var used: Range<Int> {
        count == 0 ? 0..<0 : Self.index(of: lowestRecorded)..<Self.index(of: highestRecorded) + 1
    }

    /// The place of a value that is not negative.
    private static func index(of value: Int) -> Int {
        let shift = shift(of: value)
        return (shift << halfMagnitude) + (value >> shift)
    }

    /// How many low bits the bucket of `value` leaves out.
    private static func shift(of value: Int) -> Int {
        Int.bitWidth - halfMagnitude - 1 - (value | (2 * half - 1)).leadingZeroBitCount
    }

    private static func lowest(at index: Int) -> Int {
        let shift = max(0, (index >> halfMagnitude) - 1)
        return (index - (shift << halfMagnitude)) << shift
    }

    private static func highest(at index: Int) -> Int {
        let shift = max(0, (index >> halfMagnitude) - 1)
        return lowest(at: index) + (1 << shift) - 1
    }
}
