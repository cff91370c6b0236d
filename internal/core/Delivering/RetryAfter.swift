/// `Retry-After` (RFC 9110, 10.2.3): seconds, or a date in the preferred form of 5.6.7. In milliseconds from `now`
/// (milliseconds since 1970); nil where it is neither, 0 for a date gone by.
public func retryAfterMs(_ field: String, now: Int64) -> Int64? {
    let text = field.utf8.drop { $0 == UInt8(ascii: " ") }
    let digits = text.prefix { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    if !digits.isEmpty {
        guard text.dropFirst(digits.count).allSatisfy({ $0 == UInt8(ascii: " ") }) else { return nil }
        // Whatever does not fit is longer than any bound.
        return Int64(Substring(digits)).map { min($0, Int64.max / 2_000) * 1_000 } ?? .max
    }
    return httpDate(field).map { max(0, $0 - now) }
}

/// `Sun, 06 Nov 1994 08:49:37 GMT` in milliseconds since 1970.
private func httpDate(_ text: String) -> Int64? {
    let words = text.split(separator: " ")
    guard words.count == 6, words[0].hasSuffix(","), words[5] == "GMT" else { return nil }
    let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
    let clock = words[4].split(separator: ":").compactMap { Int64($0) }
    guard let day = Int64(words[1]), (1...31).contains(day), let month = months.firstIndex(of: String(words[2])),
        let year = Int64(words[3]), (1970...9999).contains(year), clock.count == 3, (0...23).contains(clock[0]),
        (0...59).contains(clock[1]), (0...60).contains(clock[2])
    else { return nil }
    let days = daysSince1970(year: year, month: Int64(month + 1), day: day)
    return (days * 86_400 + clock[0] * 3_600 + clock[1] * 60 + clock[2]) * 1_000
}

/// Of the Gregorian calendar: years counted from March, so that the leap day is the last of its year.
private func daysSince1970(year: Int64, month: Int64, day: Int64) -> Int64 {
    let year = month <= 2 ? year - 1 : year
    let monthsSinceMarch = (month + 9) % 12
    let dayOfYear = (153 * monthsSinceMarch + 2) / 5 + day - 1
    return 365 * year + year / 4 - year / 100 + year / 400 + dayOfYear - 719_468
}
