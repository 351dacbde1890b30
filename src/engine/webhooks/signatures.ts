import { createHash, createHmac, timingSafeEqual } from 'node:crypto'

/** Of an HTTP request, by lower-case name. */
export type Headers = Readonly<Record<string, string | string[] | undefined>>

/** A request that claims to be signed. */
export interface SignedRequest {
  readonly headers: Headers
  readonly body: Buffer
  readonly receivedAt: Date
}

/** How far the time of a signed delivery may be from this server's. */
const TOLERANCE_SECONDS = 5 * 60
const STANDARD_PREFIX = 'whsec_'

/** One that is given twice counts as not given: nobody knows which of the two was meant. */
export function header(headers: Headers, name: string): string | null {
  const value = headers[name]
  return typeof value === 'string' && value !== '' ? value : null
}

/** Compares in the same time for every wrong text, whatever its length. */
export function constantTimeEquals(given: string | null, expected: string): boolean {
  return timingSafeEqual(digest(given ?? ''), digest(expected)) && given !== null
}

/** Whether `given` is the HMAC-SHA256 of the body under the secret, in hex. */
export function isHmac(given: string | null, secret: string, body: Buffer): boolean {
  return constantTimeEquals(
    given?.toLowerCase() ?? null,
    createHmac('sha256', secret).update(body).digest('hex'),
  )
}

/** The same, written `sha256=` and hex. */
export function isPrefixedHmac(given: string | null, secret: string, body: Buffer): boolean {
  return isHmac(given?.startsWith('sha256=') ? given.slice(7) : null, secret, body)
}

/**
 * Standard Webhooks: `webhook-signature` holds `v1,` and the base64 HMAC-SHA256 of `{webhook-id}.{webhook-timestamp}.{body}`,
 * or several of them, for instance while a secret is exchanged. The key is what follows `whsec_`, decoded.
 */
export function isStandardSignature({ headers, body, receivedAt }: SignedRequest, secret: string): boolean {
  const id = header(headers, 'webhook-id') ?? ''
  const at = header(headers, 'webhook-timestamp') ?? ''
  const key = secret.startsWith(STANDARD_PREFIX)
    ? Buffer.from(secret.slice(STANDARD_PREFIX.length), 'base64')
    : Buffer.from(secret)
  const expected = createHmac('sha256', key).update(`${id}.${at}.`).update(body).digest('base64')
  const given = (header(headers, 'webhook-signature') ?? '').split(' ').slice(0, 10)
  const signed = given.filter((one) => constantTimeEquals(one, `v1,${expected}`)).length > 0
  const isNow =
    /^\d{1,12}$/.test(at) && Math.abs(receivedAt.getTime() / 1000 - Number(at)) <= TOLERANCE_SECONDS
  return signed && isNow && id !== ''
}

export function hashOf(body: Buffer): string {
  return createHash('sha256').update(body).digest('hex')
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
