/// One of the shim's objects.
///
/// `@unchecked Sendable` because the functions called on it are allowed on any thread; its holder's state says until when it lives.
struct Handle: @unchecked Sendable, Equatable {
    let pointer: OpaquePointer
    init(_ pointer: OpaquePointer) { self.pointer = pointer }
}
