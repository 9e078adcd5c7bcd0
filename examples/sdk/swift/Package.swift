// swift-tools-version:5.7
import PackageDescription

let package = Package(
    name: "Assay",
    platforms: [.iOS(.v15), .macOS(.v12)],
    products: [.library(name: "Assay", targets: ["Assay"])],
    targets: [
        // In an Xcode project: an xcframework of libassay_sdk.a with this header and module map instead.
        .systemLibrary(name: "CAssay"),
        .target(name: "Assay", dependencies: ["CAssay"]),
    ]
)
