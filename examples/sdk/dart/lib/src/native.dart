/// The functions of assay.h that Dart uses, looked up by name. Nothing here decides anything.
library;

import 'dart:ffi';
import 'dart:io';

import 'package:ffi/ffi.dart';

final class Builder extends Opaque {}

final class Client extends Opaque {}

final class Outcome extends Opaque {}

final class Request extends Opaque {}

final class Bytes extends Struct {
  external Pointer<Uint8> data;
  @Size()
  external int length;
}

typedef Fetched = Void Function(Pointer<Void> user, Pointer<Outcome> outcome);
typedef Evidence = Void Function(Pointer<Void> user, Pointer<Request> request);

/// On iOS the library is linked into the app; elsewhere it is a file beside it.
final DynamicLibrary _library =
    Platform.isIOS ? DynamicLibrary.process() : DynamicLibrary.open('libassay_sdk.so');

final abiVersion = _library.lookupFunction<Uint32 Function(), int Function()>('assay_abi_version');
final codeName =
    _library.lookupFunction<Pointer<Utf8> Function(Int32), Pointer<Utf8> Function(int)>('assay_code_name');
final statusName =
    _library.lookupFunction<Pointer<Utf8> Function(Int32), Pointer<Utf8> Function(int)>('assay_status_name');

final builderNew = _library.lookupFunction<
    Int32 Function(Pointer<Utf8>, Pointer<Utf8>, Pointer<Utf8>, Pointer<Pointer<Builder>>),
    int Function(
        Pointer<Utf8>, Pointer<Utf8>, Pointer<Utf8>, Pointer<Pointer<Builder>>)>('assay_builder_new');
final builderFree = _library
    .lookupFunction<Void Function(Pointer<Builder>), void Function(Pointer<Builder>)>('assay_builder_free');
final builderBuildLabel = _library.lookupFunction<Int32 Function(Pointer<Builder>, Pointer<Utf8>),
    int Function(Pointer<Builder>, Pointer<Utf8>)>('assay_builder_build_label');
final builderStorage = _library.lookupFunction<Int32 Function(Pointer<Builder>, Pointer<Utf8>),
    int Function(Pointer<Builder>, Pointer<Utf8>)>('assay_builder_storage');
final builderMeasureLibrary = _library.lookupFunction<Int32 Function(Pointer<Builder>, Pointer<Utf8>),
    int Function(Pointer<Builder>, Pointer<Utf8>)>('assay_builder_measure_library');
final builderTrustOnly = _library.lookupFunction<Int32 Function(Pointer<Builder>, Pointer<Uint8>, Size),
    int Function(Pointer<Builder>, Pointer<Uint8>, int)>('assay_builder_trust_only');
final builderEvidence = _library.lookupFunction<
    Int32 Function(Pointer<Builder>, Int32, Pointer<Void>, Pointer<NativeFunction<Evidence>>, Pointer<Void>,
        Pointer<Void>),
    int Function(Pointer<Builder>, int, Pointer<Void>, Pointer<NativeFunction<Evidence>>, Pointer<Void>,
        Pointer<Void>)>('assay_builder_evidence');

final clientNew = _library.lookupFunction<
    Int32 Function(Pointer<Builder>, Pointer<Pointer<Client>>, Pointer<Utf8>, Size),
    int Function(Pointer<Builder>, Pointer<Pointer<Client>>, Pointer<Utf8>, int)>('assay_client_new');
final clientFree = _library
    .lookupFunction<Void Function(Pointer<Client>), void Function(Pointer<Client>)>('assay_client_free');
final fetchTokenAsync = _library.lookupFunction<
    Int32 Function(
        Pointer<Client>, Pointer<Bytes>, Size, Pointer<NativeFunction<Fetched>>, Pointer<Void>),
    int Function(Pointer<Client>, Pointer<Bytes>, int, Pointer<NativeFunction<Fetched>>,
        Pointer<Void>)>('assay_fetch_token_async');
final react = _library.lookupFunction<
    Int32 Function(Pointer<Client>, Pointer<Outcome>, Int32, Pointer<Uint8>, Size, Pointer<Utf8>, Pointer<Uint64>),
    int Function(
        Pointer<Client>, Pointer<Outcome>, int, Pointer<Uint8>, int, Pointer<Utf8>, Pointer<Uint64>)>('assay_react');
final invalidate = _library.lookupFunction<Int32 Function(Pointer<Client>, Pointer<Outcome>),
    int Function(Pointer<Client>, Pointer<Outcome>)>('assay_invalidate');
final networkChanged = _library
    .lookupFunction<Int32 Function(Pointer<Client>), int Function(Pointer<Client>)>('assay_network_changed');

final outcomeStatus = _library
    .lookupFunction<Int32 Function(Pointer<Outcome>), int Function(Pointer<Outcome>)>('assay_outcome_status');
final outcomeToken = _library.lookupFunction<Pointer<Utf8> Function(Pointer<Outcome>),
    Pointer<Utf8> Function(Pointer<Outcome>)>('assay_outcome_token');
final outcomeError = _library.lookupFunction<Pointer<Utf8> Function(Pointer<Outcome>),
    Pointer<Utf8> Function(Pointer<Outcome>)>('assay_outcome_error');
final outcomeFree = _library
    .lookupFunction<Void Function(Pointer<Outcome>), void Function(Pointer<Outcome>)>('assay_outcome_free');

final requestTranscript = _library.lookupFunction<Pointer<Uint8> Function(Pointer<Request>),
    Pointer<Uint8> Function(Pointer<Request>)>('assay_request_transcript');
final evidenceComplete = _library.lookupFunction<Int32 Function(Pointer<Request>, Pointer<Uint8>, Size),
    int Function(Pointer<Request>, Pointer<Uint8>, int)>('assay_evidence_complete');
final evidenceFail = _library.lookupFunction<Int32 Function(Pointer<Request>, Pointer<Utf8>),
    int Function(Pointer<Request>, Pointer<Utf8>)>('assay_evidence_fail');
final requestFree = _library
    .lookupFunction<Void Function(Pointer<Request>), void Function(Pointer<Request>)>('assay_request_free');
