/// The Assay SDK: a token for every request to your gateway.
library;

export 'src/assay_client.dart';
export 'src/assay_http_client.dart';
