interface ImportMetaEnv {
  /** Of the Longshore, such as https://deploy.example.com. */
  readonly VITE_LONGSHORE_URL?: string
}
