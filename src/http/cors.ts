import cors from '@fastify/cors'
import type { FastifyInstance } from 'fastify'

/** Browsers ask again after this, whatever is longer. */
const PREFLIGHT_SECONDS = 3_600

/**
 * Lets pages of other origins call the API: their browsers ask for leave before they send a token, so that the question is
 * answered without one. Call it before the hook that wants the token.
 */
export async function allowOrigins(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return
  await app.register(cors, {
    origin: [...origins],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    maxAge: PREFLIGHT_SECONDS,
    exposedHeaders: ['retry-after', 'x-next-cursor', 'x-longshore-status', 'etag'],
  })
}
