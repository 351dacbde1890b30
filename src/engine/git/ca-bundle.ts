import { X509Certificate } from 'node:crypto'
import { readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { rootCertificates } from 'node:tls'
import { type Config, ConfigError } from '../../config.js'

/** Where systems keep the CAs that everybody trusts: Debian and Alpine, Fedora, SUSE, macOS. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
]
const CERTIFICATE = /-----BEGIN CERTIFICATE-----[\s\S]+?-----END CERTIFICATE-----/g

/**
 * Writes the bundle that GIT_CA_FILE asks for, and gives its path; null: it is not set.
 *
 * @throws ConfigError when the file cannot be read, or has no certificate
 */
export async function openCaBundle({
  dataDir,
  gitCaFile,
}: Pick<Config, 'dataDir' | 'gitCaFile'>): Promise<string | null> {
  if (gitCaFile === null) return null
  const path = join(dataDir, 'git-ca.pem')
  await writeCaBundle(path, await readCaFile(gitCaFile))
  return path
}

/**
 * Reads GIT_CA_FILE: certificates in PEM.
 *
 * @throws ConfigError when it cannot be read, or has none
 */
export async function readCaFile(path: string): Promise<string[]> {
  const text = await readFile(path, 'utf8').catch((error: Error) => {
    throw new ConfigError(`GIT_CA_FILE: cannot be read: ${error.message}`)
  })
  const certificates: string[] = text.match(CERTIFICATE) ?? []
  try {
    for (const one of certificates) new X509Certificate(one)
  } catch (error) {
    throw new ConfigError(`GIT_CA_FILE: ${path} has a broken certificate: ${(error as Error).message}`)
  }
  if (certificates.length === 0) throw new ConfigError(`GIT_CA_FILE: ${path} has no certificate in PEM`)
  return certificates
}

/**
 * Writes a bundle for git, which takes one file and nothing beside it: the CAs of the system, or Node's where there are
 * none, and these. Whole at its place, for processes that share it.
 */
export async function writeCaBundle(path: string, certificates: readonly string[]): Promise<void> {
  const trusted = (await systemCas()) ?? rootCertificates.join('\n')
  const fresh = `${path}.${process.pid}.new`
  await writeFile(fresh, `${[trusted.trim(), ...certificates].join('\n')}\n`)
  await rename(fresh, path)
}

/** The certificates that git trusts, with such a bundle or without; null: nothing is known of the system's. */
export async function trustedCas(bundle: string | null): Promise<string | null> {
  return bundle === null ? systemCas() : readFile(bundle, 'utf8')
}

async function systemCas(): Promise<string | null> {
  const system = await Promise.all(SYSTEM_BUNDLES.map((bundle) => readFile(bundle, 'utf8').catch(() => null)))
  return system.find((text) => text !== null) ?? null
}
