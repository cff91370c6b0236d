/// `2026-11-21T04:23:00.123Z`, from milliseconds since 1970 (years 0 … 9999).
public func rfc3339(_ milliseconds: Int64) -> String {
    var days = milliseconds / 86_400_000
    var rest = milliseconds % 86_400_000
    if rest < 0 {
        rest += 86_400_000
        days -= 1
    }
    let (year, month, day) = civil(days)
    let seconds = rest / 1_000
    return String(unsafeUninitializedCapacity: 24) { buffer in
        var next = 0
        func put(_ value: Int64, _ digits: Int, _ follow: Unicode.Scalar) {
            var rest = value
            for place in stride(from: next + digits - 1, through: next, by: -1) {
                buffer[place] = UInt8(ascii: "0") + UInt8(rest % 10)
                rest /= 10
            }
            buffer[next + digits] = UInt8(ascii: follow)
            next += digits + 1
        }
        put(year, 4, "-")
        put(month, 2, "-")
        put(day, 2, "T")
        put(seconds / 3_600, 2, ":")
        put(seconds / 60 % 60, 2, ":")
        put(seconds % 60, 2, ".")
        put(rest % 1_000, 3, "Z")
        return 24
    }
}

/// Milliseconds since 1970 of an RFC 3339 time with any offset and any number of fractional digits; nil for anything else. A leap
/// second counts as the last of its minute.
public func milliseconds(rfc3339 text: UnsafeRawBufferPointer) -> Int64? {
    var reader = TimeReader(bytes: text)
    guard let year = reader.number(4), reader.take("-"), let month = reader.number(2), reader.take("-"),
        let day = reader.number(2), reader.take("T") || reader.take("t") || reader.take(" "),
        let hour = reader.number(2),
        reader.take(":"), let minute = reader.number(2), reader.take(":"), let second = reader.number(2)
    else { return nil }
    guard let fraction = reader.fraction(), let offset = reader.offset(), reader.isAtEnd else { return nil }
    guard (1...12).contains(month), (1...monthLength(year, month)).contains(day), hour < 24, minute < 60, second <= 60
    else { return nil }
    let days = daysSince1970(year, month, day)
    return ((days * 24 + hour) * 60 + minute - offset) * 60_000 + min(second, 59) * 1_000 + fraction
}

public func milliseconds(rfc3339 text: String) -> Int64? {
    var text = text
    return text.withUTF8 { milliseconds(rfc3339: UnsafeRawBufferPointer($0)) }
}

private struct TimeReader {
    let bytes: UnsafeRawBufferPointer
    var index = 0

    var isAtEnd: Bool { index == bytes.count }

    mutating func take(_ character: Unicode.Scalar) -> Bool {
        guard index < bytes.count, bytes[index] == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    private mutating func digit() -> Int64? {
        guard index < bytes.count, case let digit = bytes[index] &- UInt8(ascii: "0"), digit < 10 else { return nil }
        index += 1
        return Int64(digit)
    }

    mutating func number(_ digits: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<digits {
            guard let digit = digit() else { return nil }
            value = value * 10 + digit
        }
        return value
    }

    /// Milliseconds.
    mutating func fraction() -> Int64? {
        guard take(".") else { return 0 }
        guard var value = digit() else { return nil }
        var digits = 1
        while let digit = digit() {
            if digits < 3 { value = value * 10 + digit }
            digits += 1
        }
        for _ in min(digits, 3)..<3 { value *= 10 }
        return value
    }

    /// Minutes.
    mutating func offset() -> Int64? {
        if take("Z") || take("z") { return 0 }
        let sign: Int64 = take("+") ? 1 : take("-") ? -1 : 0
        guard sign != 0, let hours = number(2), take(":"), let minutes = number(2), hours < 24, minutes < 60 else {
            return nil
        }
        return sign * (hours * 60 + minutes)
    }
}

private func monthLength(_ year: Int64, _ month: Int64) -> Int64 {
    switch month {
    case 4, 6, 9, 11: 30
    case 2: year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28
    default: 31
    }
}

/// Days of the Gregorian calendar, with years that begin in March so that the leap day comes last.
private func daysSince1970(_ year: Int64, _ month: Int64, _ day: Int64) -> Int64 {
    let year = month <= 2 ? year + 3_999 : year + 4_000
    let month = (month + 9) % 12
    return year * 365 + year / 4 - year / 100 + year / 400 + (month * 153 + 2) / 5 + day - 1 - 2_180_438
}

/// Year, month and day of a day since 1970.
private func civil(_ days: Int64) -> (Int64, Int64, Int64) {
    let shifted = days + 719_468 + 146_097 * 10
    let era = shifted / 146_097
    let dayOfEra = shifted % 146_097
    let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
    let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
    let monthFromMarch = (5 * dayOfYear + 2) / 153
    let day = dayOfYear - (153 * monthFromMarch + 2) / 5 + 1
    let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
    let year = yearOfEra + era * 400 - 4_000 + (month <= 2 ? 1 : 0)
    return (year, month, day)
}
