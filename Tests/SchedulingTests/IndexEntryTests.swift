import Records
import Scheduling
import Testing

@Suite struct IndexEntryTests {
    @Test func bytesComeBack() throws {
        for mark in [IndexEntry.Mark.none, .now, .cancel, .hold] {
            let entry = IndexEntry(generation: .max - 1, offset: 1 << 52 + 7, mark: mark)
            #expect(entry.bytes.count == IndexEntry.byteCount)
            #expect(IndexEntry(bytes: entry.bytes) == entry)
        }
        #expect(IndexEntry(bytes: []) == nil)
        #expect(IndexEntry(bytes: [UInt8](repeating: 9, count: 13)) == nil)
    }

    @Test(arguments: ["cluster", "", "a|b|c"]) func headersComeBack(logID: String) throws {
        let header = IndexHeader(logID: logID, position: 12, epoch: 11, turn: 99)
        #expect(IndexHeader(text: header.text) == header)
    }

    @Test(arguments: ["", "1|2|3", "x|1|2|log"]) func whatIsNoHeader(text: String) {
        #expect(IndexHeader(text: text) == nil)
    }
}
