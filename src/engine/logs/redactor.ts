import { Needles } from './needles.js'

const MASK = '[REDACTED]'
/** Shorter values would mask half of an innocent log. */
export const MIN_SECRET_LENGTH = 6

/**
 * Replaces secrets in a stream of bytes, wherever the stream happens to be cut.
 *
 * Only the longest end that could be the beginning of a secret is held back, so an ordinary line is not delayed.
 * Overlapping and adjoining finds become one mask. Call {@link flush} at the end of the stream; the next may begin then.
 */
export class Redactor {
  readonly #needles: Needles
  #held = ''
  /** How many bytes at the start of `#held` belong to a secret that has been masked already; -1: none was. */
  #masked = -1

  constructor(secrets: readonly string[]) {
    this.#needles = needlesOf(secrets)
  }

  /** Takes bytes, gives those that can be shown by now. */
  write(bytes: Buffer): Buffer {
    if (this.#needles.isEmpty) return bytes
    this.#held += bytes.toString('latin1')
    return this.#show(this.#held.length - this.#needles.unfinishedIn(this.#held))
  }

  /** Nothing is held back. */
  get isEmpty(): boolean {
    return this.#held === ''
  }

  flush(): Buffer {
    const rest = this.#show(this.#held.length)
    this.#masked = -1
    return rest
  }

  /** A whole text at once; not in the middle of a stream. */
  mask(text: string): string {
    return Buffer.concat([this.write(Buffer.from(text)), this.flush()]).toString('utf8')
  }

  #show(limit: number): Buffer {
    let out = ''
    let position = Math.min(Math.max(this.#masked, 0), limit)
    let maskedTo = this.#masked
    for (const [start, end] of this.#needles.findIn(this.#held, limit)) {
      if (start <= maskedTo) {
        maskedTo = Math.max(maskedTo, end)
      } else {
        out += this.#held.slice(position, start) + MASK
        maskedTo = end
      }
      position = Math.min(maskedTo, limit)
    }
    out += this.#held.slice(position, limit)
    this.#held = this.#held.slice(limit)
    this.#masked = Math.max(-1, maskedTo - limit)
    return Buffer.from(out, 'latin1')
  }
}

/** A deployment has a redactor for each stream of each step of its build, all of the same secrets. */
const known = new WeakMap<readonly string[], Needles>()

function needlesOf(secrets: readonly string[]): Needles {
  const made = known.get(secrets)
  if (made) return made
  const all = secrets.flatMap((secret) => [secret, secret.trim(), ...credentials(secret)])
  const long = [...new Set(all)].filter((secret) => secret.length >= MIN_SECRET_LENGTH)
  const forms = long.flatMap(encodings).map((text) => Buffer.from(text).toString('latin1'))
  const needles = new Needles(forms)
  known.set(secrets, needles)
  return needles
}

/** From the last letter of the scheme on: to look for its first would take time by the square of a long secret's length. */
const URL_CREDENTIALS = /[a-z0-9+.-]:\/\/([^\s/@:]*):([^\s/]+)@/gi

/** Programs take a database's URL apart: its password alone, and with the user as HTTP's basic credentials have it. */
function credentials(secret: string): string[] {
  return [...secret.matchAll(URL_CREDENTIALS)].flatMap(([, user = '', password = '']) => {
    const plain = [user, password].map(decoded)
    return [password, `${user}:${password}`, plain[1] ?? '', plain.join(':')]
  })
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/** How a secret may turn up in a log: as it is, its longer lines, base64 at each alignment, in JSON, in a URL. */
function encodings(secret: string): string[] {
  const lines = secret.split(/\r?\n/).filter((line) => line.length >= 8)
  const texts = [secret, ...lines, ...base64s(secret), ...jsons(secret), ...urls(secret)]
  return texts.filter((text) => text.length >= MIN_SECRET_LENGTH)
}

/** As JavaScript writes it, as Go does, which spares HTML, and as Python does, in ASCII alone. */
function jsons(secret: string): string[] {
  const text = JSON.stringify(secret).slice(1, -1)
  const escape = (unit: string) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`
  return [text, text.replace(/[<>&\u2028\u2029]/g, escape), text.replace(/[^\0-\x7f]/g, escape)]
}

/** As a part of a path, and as a field of a form. */
function urls(secret: string): string[] {
  const form = new URLSearchParams({ '': secret }).toString().slice(1)
  return [encodeURIComponent(secret.toWellFormed()), form]
}

/** Programs wrap long base64: `base64` after 76 characters, `openssl base64` and PEM after 64. */
const WRAPPED_AT = [76, 64]

/**
 * The base64 of text that contains the secret depends on what stands before it, by its position modulo 3. The
 * characters at either edge mix with the neighbours and are left out.
 */
function base64s(secret: string): string[] {
  const aligned = [0, 1, 2].map((shift) => {
    const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)])
    const text = bytes.toString('base64').replace(/=+$/, '')
    const unstableEnd = bytes.length % 3 === 0 ? 0 : 1
    return text.slice(shift === 0 ? 0 : shift + 1, text.length - unstableEnd)
  })
  const [alone = ''] = aligned
  const wrapped = WRAPPED_AT.flatMap((width) => alone.match(new RegExp(`.{1,${width}}`, 'g')) ?? [])
  const urlSafe = aligned.map((text) => text.replaceAll('+', '-').replaceAll('/', '_'))
  return [...aligned, ...urlSafe, ...(alone.length > 64 ? wrapped : [])]
}
