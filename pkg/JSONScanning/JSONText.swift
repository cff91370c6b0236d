/// The text of a JSON string whose bytes between the quotes have been validated.
public func jsonText(_ bytes: UnsafeRawBufferPointer) -> String {
    guard bytes.contains(UInt8(ascii: "\\")) else { return String(decoding: bytes, as: UTF8.self) }
    var units: [UInt8] = []
    units.reserveCapacity(bytes.count)
    var index = 0
    while index < bytes.count {
        guard bytes[index] == UInt8(ascii: "\\") else {
            units.append(bytes[index])
            index += 1
            continue
        }
        switch bytes[index + 1] {
        case UInt8(ascii: "b"): units.append(0x08)
        case UInt8(ascii: "f"): units.append(0x0c)
        case UInt8(ascii: "n"): units.append(0x0a)
        case UInt8(ascii: "r"): units.append(0x0d)
        case UInt8(ascii: "t"): units.append(0x09)
        case UInt8(ascii: "u"):
            index += appendCharacter(bytes, at: index, to: &units)
            continue
        case let plain: units.append(plain)
        }
        index += 2
    }
    return String(decoding: units, as: UTF8.self)
}

/// Appends what `\uXXXX`, or a pair of them, stands for; returns how many bytes that took.
private func appendCharacter(_ bytes: UnsafeRawBufferPointer, at index: Int, to units: inout [UInt8]) -> Int {
    let address = bytes.baseAddress!.assumingMemoryBound(to: UInt8.self) + index
    let first = UInt32(hexUnit(address + 2) ?? 0xfffd)
    guard first & 0xf800 == 0xd800 else {
        append(first, to: &units)
        return 6
    }
    let second = UInt32(hexUnit(address + 8) ?? 0xfffd)
    append(0x10000 + (first & 0x3ff) << 10 + (second & 0x3ff), to: &units)
    return 12
}

private func append(_ value: UInt32, to units: inout [UInt8]) {
    let scalar = Unicode.Scalar(value) ?? "\u{fffd}"
    units.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
}

/// The number that four hexadecimal digits stand for; nil where one is none.
func hexUnit(_ digits: UnsafePointer<UInt8>) -> UInt16? {
    var unit: UInt16 = 0
    for offset in 0..<4 {
        let byte = digits[offset]
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): unit = unit << 4 | UInt16(byte - UInt8(ascii: "0"))
        case UInt8(ascii: "a")...UInt8(ascii: "f"): unit = unit << 4 | UInt16(byte - UInt8(ascii: "a") + 10)
        case UInt8(ascii: "A")...UInt8(ascii: "F"): unit = unit << 4 | UInt16(byte - UInt8(ascii: "A") + 10)
        default: return nil
        }
    }
    return unit
}
