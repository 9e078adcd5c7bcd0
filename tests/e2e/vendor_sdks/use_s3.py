"""boto3, unmodified: a step a word, what came of each as one JSON document. The token travels as the session token."""

import io
import json
import os
import sys

import boto3
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

BUCKET = "my-bucket"
PARTS = TransferConfig(multipart_threshold=5 * 2**20, multipart_chunksize=5 * 2**20)


def client(**more):
    return boto3.client(
        "s3",
        endpoint_url=os.environ["BASE_URL"],
        region_name="eu-central-1",
        aws_access_key_id=os.environ.get("KEY_ID", "unused"),
        aws_secret_access_key=os.environ.get("KEY_SECRET", "unused"),
        aws_session_token=os.environ.get("API_KEY"),
        config=Config(s3={"addressing_style": "path"}, **more),
    )


usual = client(retries={"mode": "standard", "max_attempts": 3})


def put():
    usual.put_object(Bucket=BUCKET, Key="notes/a b+c~é.txt", Body=b"kept", ContentType="text/plain")
    return {"text": usual.get_object(Bucket=BUCKET, Key="notes/a b+c~é.txt")["Body"].read().decode()}


def stream():
    usual.put_object(Bucket=BUCKET, Key="large", Body=os.urandom(300_000))
    return {"bytes": sum(len(piece) for piece in usual.get_object(Bucket=BUCKET, Key="large")["Body"].iter_chunks())}


def upload():
    sent = os.urandom(12 * 2**20)
    usual.upload_fileobj(io.BytesIO(sent), BUCKET, "film", Config=PARTS)
    whole = usual.get_object(Bucket=BUCKET, Key="film")["Body"].read()
    return {"same": whole == sent, "bytes": usual.head_object(Bucket=BUCKET, Key="film")["ContentLength"]}


def list():
    listed = usual.list_objects_v2(Bucket=BUCKET, Prefix="notes/")
    return {"keys": [item["Key"] for item in listed.get("Contents", [])]}


def public():
    usual.put_object(Bucket=BUCKET, Key="seen-by-all", Body=b"x", ACL="public-read")
    return {"put": True}


def acl():
    return {"grants": usual.get_object_acl(Bucket=BUCKET, Key="large").get("Grants")}


def other_bucket():
    usual.put_object(Bucket="another-bucket", Key="x", Body=b"x")
    return {"put": True}


def timeout():
    impatient = client(read_timeout=0.5, retries={"total_max_attempts": 1})
    return {"bytes": impatient.head_object(Bucket=BUCKET, Key="large")["ContentLength"]}


def run(step):
    try:
        return globals()[step]()
    except ClientError as error:
        return {"raised": "ClientError", "status": error.response["ResponseMetadata"]["HTTPStatusCode"]}
    except BotoCoreError as error:
        return {"raised": type(error).__name__}


print(json.dumps({step: run(step) for step in sys.argv[1:]}))
