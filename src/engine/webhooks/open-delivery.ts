import type { Forge } from '../../entities/forge.js'
import { type DeliveryKeys, identify } from './forges.js'
import { readEvent } from './payloads.js'
import type { ForgeEvent } from './push.js'
import { header, type Headers } from './signatures.js'

/** A request to a webhook, and the secret that it should be made with. */
export interface SealedDelivery {
  readonly headers: Headers
  readonly body: Buffer
  readonly secret: string
  readonly receivedAt: Date
}

/** What the headers of a request say. */
export interface DeliveryHead {
  readonly forge: Forge
  /** As the forge names it. */
  readonly event: string
  readonly contentType: string
}

/** What a request says, as far as it is genuine. */
export interface OpenedDelivery extends DeliveryHead {
  /** Null: it was not made with the secret. */
  readonly genuine: { readonly keys: DeliveryKeys; readonly content: ForgeEvent } | null
}

const MAX_CONTENT_TYPE = 100

/** Reads the headers of a request, genuine or not. */
export function aboutDelivery(headers: Headers): DeliveryHead {
  const { forge, event } = identify(headers)
  return { forge, event, contentType: (header(headers, 'content-type') ?? '').slice(0, MAX_CONTENT_TYPE) }
}

/** Checks whose a request is, and then reads it: nothing of it is parsed that was not made with the secret. */
export function openDelivery({ headers, body, secret, receivedAt }: SealedDelivery): OpenedDelivery {
  const request = identify(headers)
  const about = aboutDelivery(headers)
  if (!request.isGenuine(secret, body, receivedAt)) return { ...about, genuine: null }
  return { ...about, genuine: { keys: request.keys(body), content: readEvent({ ...about, body }) } }
}
