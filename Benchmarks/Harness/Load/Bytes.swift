import Glibc

extension UnsafeRawBufferPointer {
    /// Where `needle` begins; nil where it is not there. Its first byte had better be a rare one.
    func firstIndex(of needle: StaticString) -> Int? {
        let length = needle.utf8CodeUnitCount
        guard let base = baseAddress, count >= length else { return nil }
        var start = 0
        while let found = memchr(base + start, Int32(needle.utf8Start[0]), count - length - start + 1) {
            let index = base.distance(to: UnsafeRawPointer(found))
            if memcmp(found, needle.utf8Start, length) == 0 { return index }
            start = index + 1
            guard start + length <= count else { return nil }
        }
        return nil
    }
}

/// Writes a line to standard output at once: whoever reads along is another process.
func printLine(_ text: String) {
    let bytes = Array((text + "\n").utf8)
    _ = write(1, bytes, bytes.count)
}
