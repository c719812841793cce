// wgsl_reflect's bundle has no declaration beside it; the package's own types describe the same exports.
declare module "wgsl_reflect/wgsl_reflect.module.js" {
  export * from "wgsl_reflect";
}
