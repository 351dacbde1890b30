import type { IncomingMessage } from 'node:http'

/** The values of a header that is a list. By no expression: those of white space at both ends take time by its square. */
export function tokensOf(list: string): string[] {
  return list.split(',').map((token) => token.trim())
}

/** Whether the request has a body, by the only two headers that may say so. */
export function hasBody({ headers }: IncomingMessage): boolean {
  return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0
}
