import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

/** Where `npm run dev` finds a Longshore: the page and the API then have one origin, and need no CORS. */
const API = process.env.LONGSHORE_URL ?? 'http://127.0.0.1:8080'

export default defineConfig({
  plugins: [react()],
  server: { proxy: { '/graphql': { target: API, ws: true } } },
})
