/// `timestamptz` to and from milliseconds since 1970, by hand: formatters cost microseconds.
enum PostgresTime {
    /// `2024-05-06 07:08:09.012+00`; years before 1 are written with BC.
    static func text(milliseconds: Int64) -> String {
        let day = (milliseconds >= 0 ? milliseconds : milliseconds - 86_399_999) / 86_400_000
        let inDay = milliseconds - day * 86_400_000
        let (year, month, date) = civil(day: day)
        let clock = [inDay / 3_600_000, inDay / 60_000 % 60, inDay / 1_000 % 60].map { padded($0, 2) }
        let written = padded(year > 0 ? year : 1 - year, 4)
        return "\(written)-\(padded(month, 2))-\(padded(date, 2)) \(clock.joined(separator: ":"))."
            + padded(inDay % 1_000, 3) + "+00" + (year > 0 ? "" : " BC")
    }

    /// Reads what a session in UTC with ISO dates prints. Fractions beyond the millisecond are cut; nil for anything else,
    /// infinity and years BC included.
    static func milliseconds(_ text: UnsafeRawBufferPointer) -> Int64? {
        var parts: [Int64] = []
        var index = 0
        for separator in [0x2d, 0x2d, 0x20, 0x3a, 0x3a, 0] as [UInt8] {
            guard let number = digits(text, &index) else { return nil }
            parts.append(number)
            guard separator != 0 else { break }
            guard index < text.count, text[index] == separator else { return nil }
            index += 1
        }
        var fraction: Int64 = 0
        if index < text.count, text[index] == 0x2e {
            index += 1
            let start = index
            guard let digits = digits(text, &index), index - start <= 6 else { return nil }
            fraction = digits
            for _ in (index - start)..<6 { fraction *= 10 }
        }
        guard text[index...].elementsEqual("+00".utf8) else { return nil }
        let seconds = daysSince1970(parts[0], parts[1], parts[2]) * 86_400 + parts[3] * 3_600 + parts[4] * 60 + parts[5]
        return seconds * 1_000 + fraction / 1_000
    }

    private static func digits(_ text: UnsafeRawBufferPointer, _ index: inout Int) -> Int64? {
        let start = index
        var number: Int64 = 0
        while index < text.count, index - start < 9, case 0x30...0x39 = text[index] {
            number = number * 10 + Int64(text[index] - 0x30)
            index += 1
        }
        return index > start ? number : nil
    }

    private static func padded(_ number: Int64, _ width: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }

    /// The proleptic Gregorian date of a day since 1970. Years are counted from March, so that the leap day comes last; 400 years have
    /// 146,097 days.
    private static func civil(day: Int64) -> (year: Int64, month: Int64, date: Int64) {
        let shifted = day + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let march = (5 * dayOfYear + 2) / 153
        let month = march < 10 ? march + 3 : march - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * march + 2) / 5 + 1)
    }

    private static func daysSince1970(_ year: Int64, _ month: Int64, _ date: Int64) -> Int64 {
        let year = month <= 2 ? year - 1 : year
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + date - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }
}
