import { createHash, timingSafeEqual } from 'node:crypto'

/** Tells whether an `Authorization` value is `Bearer` with the right token, in the same time for every wrong one. */
export type TokenCheck = (authorization: string | undefined) => boolean

export function createTokenCheck(token: string): TokenCheck {
  const expected = digest(token)
  return (authorization) => {
    const given = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1] ?? ''
    return timingSafeEqual(digest(given), expected)
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

export const MISSING_TOKEN =
  'send the admin token: "Authorization: Bearer …" (it is ADMIN_TOKEN, or in DATA_DIR/admin-token)'
