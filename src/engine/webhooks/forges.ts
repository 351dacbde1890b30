import { Forge } from '../../entities/forge.js'
import { formPayload } from './payloads.js'
import {
  hashOf,
  header,
  type Headers,
  isHmac,
  isPrefixedHmac,
  constantTimeEquals,
  isStandardSignature,
  type SignedRequest,
} from './signatures.js'

/** What tells one delivery from another; two with the same are one. */
export interface DeliveryKeys {
  /** The forge's own id of the delivery. */
  readonly deliveryKey: string | null
  /** Of what is signed, where the id is not: whoever has caught a delivery could send it again under another id. */
  readonly bodyHash: string | null
}

/** The signed request of one forge. */
interface ForgeRules {
  readonly forge: Forge
  /** The headers that name the event, and tell this forge from the others. */
  readonly events: readonly string[]
  readonly isGenuine: (request: SignedRequest, secret: string) => boolean
  readonly keys: (headers: Headers, body: Buffer) => DeliveryKeys
}

const MAX_KEY_LENGTH = 200
const MAX_EVENT_LENGTH = 60

// Gitea and Forgejo send GitHub's headers as well, so they come first.
const RULES: readonly ForgeRules[] = [
  {
    forge: Forge.GITEA,
    events: ['x-gitea-event', 'x-forgejo-event'],
    isGenuine: ({ headers, body }, secret) => {
      const own = header(headers, 'x-forgejo-signature') ?? header(headers, 'x-gitea-signature')
      const signed = payloadIn(headers, body)
      if (own !== null) return isHmac(own, secret, signed)
      return isPrefixedHmac(header(headers, 'x-hub-signature-256'), secret, signed)
    },
    keys: (headers, body) =>
      signedBody('x-gitea-delivery', 'x-forgejo-delivery')(headers, payloadIn(headers, body)),
  },
  {
    forge: Forge.GITHUB,
    events: ['x-github-event'],
    isGenuine: ({ headers, body }, secret) =>
      isPrefixedHmac(header(headers, 'x-hub-signature-256'), secret, body),
    keys: signedBody('x-github-delivery'),
  },
  {
    forge: Forge.GITLAB,
    events: ['x-gitlab-event'],
    // GitLab sends an id with every delivery, and a signature where a signing token is set: then that alone counts.
    isGenuine: (request, secret) =>
      header(request.headers, 'webhook-signature') === null
        ? constantTimeEquals(header(request.headers, 'x-gitlab-token'), secret)
        : isStandardSignature(request, secret),
    keys: ownId('webhook-id', 'idempotency-key'),
  },
  {
    forge: Forge.BITBUCKET,
    events: ['x-event-key'],
    isGenuine: ({ headers, body }, secret) =>
      isPrefixedHmac(header(headers, 'x-hub-signature'), secret, body),
    keys: signedBody('x-request-uuid', 'x-request-id'),
  },
]

const GENERIC: ForgeRules = {
  forge: Forge.GENERIC,
  events: [],
  isGenuine: (request, secret) => {
    const { headers, body } = request
    if (header(headers, 'webhook-signature') !== null) return isStandardSignature(request, secret)
    const signature = header(headers, 'x-hub-signature-256')
    if (signature !== null) return isPrefixedHmac(signature, secret, body)
    return constantTimeEquals(header(headers, 'x-longshore-token'), secret)
  },
  keys: (headers, body) =>
    header(headers, 'x-hub-signature-256') === null
      ? ownId('webhook-id', 'idempotency-key')(headers, body)
      : signedBody('idempotency-key')(headers, body),
}

/** A request as its forge means it. */
export interface IdentifiedRequest {
  readonly forge: Forge
  /** As the forge names it; empty for the generic form. */
  readonly event: string
  /** Whether it was made with the secret; takes the same time for every wrong one. */
  isGenuine(secret: string, body: Buffer, receivedAt: Date): boolean
  keys(body: Buffer): DeliveryKeys
}

/** Identifies by its headers which forge sent a request. */
export function identify(headers: Headers): IdentifiedRequest {
  const rules = RULES.find(({ events }) => firstOf(headers, events) !== null) ?? GENERIC
  return {
    forge: rules.forge,
    event: (firstOf(headers, rules.events) ?? '').slice(0, MAX_EVENT_LENGTH),
    isGenuine: (secret, body, receivedAt) => rules.isGenuine({ headers, body, receivedAt }, secret),
    keys: (body) => rules.keys(headers, body),
  }
}

function firstOf(headers: Headers, names: readonly string[]): string | null {
  return names.map((name) => header(headers, name)).find((value) => value !== null) ?? null
}

/** What Gitea signs: the JSON, also where it is sent in a form. */
function payloadIn(headers: Headers, body: Buffer): Buffer {
  const payload = formPayload(header(headers, 'content-type') ?? '', body)
  return payload === null ? body : Buffer.from(payload)
}

/** The body is what is signed: it counts, whatever id it comes under. */
function signedBody(...names: readonly string[]) {
  return (headers: Headers, body: Buffer): DeliveryKeys => ({
    deliveryKey: firstOf(headers, names)?.slice(0, MAX_KEY_LENGTH) ?? null,
    bodyHash: hashOf(body),
  })
}

/** Whoever could forge the id has the secret, or it is signed: pushes that look the same are two if it differs. */
function ownId(...names: readonly string[]) {
  return (headers: Headers, body: Buffer): DeliveryKeys => {
    const deliveryKey = firstOf(headers, names)?.slice(0, MAX_KEY_LENGTH) ?? null
    return { deliveryKey, bodyHash: deliveryKey === null ? hashOf(body) : null }
  }
}
