/** What vite makes of imports that are no modules. */
declare module "*.css";
declare module "*.bin?url" {
  const url: string;
  export default url;
}

interface ImportMeta {
  readonly env: { readonly PROD: boolean };
}
