import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** What is missing for {@link makeCertificates}; false: nothing. For `skip` of a test. */
export function missingOpenssl(): string | false {
  try {
    execFileSync('openssl', ['version'])
    return false
  } catch {
    return 'openssl not installed'
  }
}

/** A `ca`, a `server` signed by it and an `untrusted` one, both at 127.0.0.1: of each a .pem and a .key in the folder. */
export function makeCertificates(folder: string): void {
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2']
  const make = (name: string, subject: string, ...more: string[]) => {
    const files = ['-keyout', join(folder, `${name}.key`), '-out', join(folder, `${name}.pem`)]
    execFileSync('openssl', ['req', '-x509', ...key, ...files, '-subj', `/CN=${subject}`, ...more], {
      stdio: 'ignore',
    })
  }
  const host = ['-addext', 'subjectAltName=IP:127.0.0.1', '-addext', 'basicConstraints=critical,CA:FALSE']
  make('ca', 'Test CA')
  make('server', 'Git', ...host, '-CA', join(folder, 'ca.pem'), '-CAkey', join(folder, 'ca.key'))
  make('untrusted', 'Git', ...host)
}
