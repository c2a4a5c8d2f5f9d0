/**
 * The signature that the kernel looks for at a module's end: PKCS#7 without certificates and attributes, `struct module_signature`, and a text. As
 * scripts/sign-file of the kernel writes it.
 */
import { X509Certificate, verify, type KeyObject } from 'node:crypto';
import {
  Constructed,
  Integer,
  Null,
  ObjectIdentifier,
  OctetString,
  Sequence,
  Set as DerSet,
  fromBER,
  type AsnType,
} from 'asn1js';
import { readWhole } from '../files/whole-file';
import { isToken, keyRefused, privateKey, tokenName, type PrivateKey } from './private-key';

export interface SigningFiles {
  /** PEM, or a `pkcs11:` URI; the environment's KBUILD_SIGN_PIN where it is encrypted or has a PIN, as for sign-file. */
  key: string;
  /** PEM or DER. */
  certificate: string;
}

/** Digests that CONFIG_MODULE_SIG_HASH may name. */
const HASHES: Readonly<Record<string, { oid: string; ecdsa: string }>> = {
  sha256: { oid: '2.16.840.1.101.3.4.2.1', ecdsa: '1.2.840.10045.4.3.2' },
  sha384: { oid: '2.16.840.1.101.3.4.2.2', ecdsa: '1.2.840.10045.4.3.3' },
  sha512: { oid: '2.16.840.1.101.3.4.2.3', ecdsa: '1.2.840.10045.4.3.4' },
};
const SIGNED_DATA = '1.2.840.113549.1.7.2';
const DATA = '1.2.840.113549.1.7.1';
const RSA = '1.2.840.113549.1.1.1';

const MARKER = '~Module signature appended~\n';
/** PKEY_ID_PKCS7 */
const PKCS7 = 2;
const MODULE_SIGNATURE = 12;

const PROBE = Buffer.from('klpflow');

export class ModuleSigner {
  private constructor(
    private readonly key: PrivateKey,
    private readonly publicKey: KeyObject,
    private readonly issuer: AsnType,
    private readonly serial: AsnType,
    /** Of the certificate, in one line. */
    readonly subject: string,
  ) {}

  /** @throws KlpflowError `unreadable`; `signing-key` for what is no key, no certificate, or a certificate of another key */
  static of({ key: keyFile, certificate: certificateFile }: SigningFiles): ModuleSigner {
    const certificate = readWhole(certificateFile);
    const key = privateKey(keyFile);
    const x509 = parsed(certificateFile, 'X.509 certificate', () => new X509Certificate(certificate));
    const { publicKey } = x509;
    const type = publicKey.asymmetricKeyType;
    if (type !== 'rsa' && type !== 'ec')
      throw keyRefused(certificateFile, `${certificateFile} is for ${type}: the kernel checks RSA and ECDSA`);
    const [serial, issuer] = issuerOf(x509.raw);
    const signer = new ModuleSigner(key, publicKey, issuer, serial, x509.subject.replaceAll('\n', ', '));
    const called = isToken(keyFile) ? tokenName(keyFile) : keyFile;
    // A token is asked once before there is something to sign: it may be locked, or another one.
    if (!key.belongsTo(x509) || (isToken(keyFile) && !signer.agrees('sha256', PROBE, key.sign('sha256', PROBE))))
      throw keyRefused(certificateFile, `${certificateFile} is the certificate of another key than ${called}`);
    return signer;
  }

  private agrees(hash: string, content: Uint8Array, signature: Buffer): boolean {
    return verify(hash, content, this.publicKey, signature);
  }

  /** A module with its signature. */
  signed(module: Uint8Array, hash: string | undefined): Buffer {
    const name = hash !== undefined && hash in HASHES ? hash : 'sha256';
    const signature = this.key.sign(name, module);
    if (!this.agrees(name, module, signature))
      throw keyRefused(this.subject, `what the key signed is no signature by the certificate of ${this.subject}`);
    const pkcs7 = Buffer.from(this.pkcs7(name, signature).toBER());
    const info = Buffer.alloc(MODULE_SIGNATURE);
    info[2] = PKCS7;
    info.writeUInt32BE(pkcs7.length, 8);
    return Buffer.concat([module, pkcs7, info, Buffer.from(MARKER)]);
  }

  private pkcs7(hash: string, signature: Buffer): Sequence {
    const { oid, ecdsa } = HASHES[hash]!;
    const digest = (): Sequence => sequence(new ObjectIdentifier({ value: oid }));
    const algorithm =
      this.publicKey.asymmetricKeyType === 'rsa'
        ? sequence(new ObjectIdentifier({ value: RSA }), new Null())
        : sequence(new ObjectIdentifier({ value: ecdsa }));
    const signer = sequence(
      new Integer({ value: 1 }),
      sequence(this.issuer, this.serial),
      digest(),
      algorithm,
      new OctetString({ valueHex: signature }),
    );
    const signedData = sequence(
      new Integer({ value: 1 }),
      new DerSet({ value: [digest()] }),
      sequence(new ObjectIdentifier({ value: DATA })),
      new DerSet({ value: [signer] }),
    );
    return sequence(
      new ObjectIdentifier({ value: SIGNED_DATA }),
      new Constructed({ idBlock: { tagClass: 3, tagNumber: 0 }, value: [signedData] }),
    );
  }
}

function sequence(...value: AsnType[]): Sequence {
  return new Sequence({ value });
}

/** By these two the kernel finds the key among those that it trusts: RFC 5280, TBSCertificate. */
function issuerOf(raw: Buffer): [serial: AsnType, issuer: AsnType] {
  const [toBeSigned] = (fromBER(raw).result as Sequence).valueBlock.value as [Sequence];
  const fields = toBeSigned.valueBlock.value;
  // The version stands first, tagged, unless it is the oldest.
  const from = fields[0]!.idBlock.tagClass === 3 ? 1 : 0;
  return [fields[from]!, fields[from + 2]!];
}

function parsed<T>(path: string, what: string, parse: () => T): T {
  try {
    return parse();
  } catch (cause) {
    throw keyRefused(path, `${path} is no ${what}: ${(cause as Error).message}`, cause);
  }
}
