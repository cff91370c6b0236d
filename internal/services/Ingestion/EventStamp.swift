internal import CLinux
internal import Cryptography
internal import JSONScanning

/// What an event gets that came without it: an id and a time. One per thread.
struct EventStamp {
    private let random = BufferedRandom()
    /// Milliseconds since 1970.
    private(set) var now: Int64 = 0
    /// `now` as RFC 3339: the events of one millisecond share it.
    private(set) var timeText: [UInt8] = []

    init() { readClock() }

    /// To be called once for each event.
    mutating func readClock() {
        let time = clinux_realtime_ms()
        guard time != now else { return }
        now = time
        timeText = Array(rfc3339(time).utf8)
    }

    /// A UUID of version 7 (RFC 9562, 5.7): 48 bits of milliseconds, then random ones, so that ids sort by their time.
    mutating func drawID() -> [UInt8] {
        let first = UInt64(bitPattern: now) << 16 | 0x7000 | random.next() & 0xfff
        let second = random.next() >> 2 | 1 << 63
        return [UInt8](unsafeUninitializedCapacity: 36) { text, count in
            for place in 0..<36 {
                text[place] = Self.isDash(place) ? UInt8(ascii: "-") : 0
            }
            Self.write(first, to: text, 0)
            Self.write(second, to: text, 19)
            count = 36
        }
    }

    private static func isDash(_ place: Int) -> Bool { place == 8 || place == 13 || place == 18 || place == 23 }

    /// Sixteen digits, around the dashes.
    private static func write(_ word: UInt64, to text: UnsafeMutableBufferPointer<UInt8>, _ start: Int) {
        var place = start
        for shift in stride(from: 60, through: 0, by: -4) {
            if isDash(place) { place += 1 }
            let digit = UInt8(truncatingIfNeeded: word >> UInt64(shift)) & 15
            text[place] = digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") - 10 + digit
            place += 1
        }
    }
}
