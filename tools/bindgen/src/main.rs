//! Writes the JavaScript face of a WASM file: `bindgen IN.wasm OUT_DIR`.

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [input, output] = arguments.as_slice() else {
        eprintln!("usage: bindgen IN.wasm OUT_DIR");
        std::process::exit(2);
    };
    let result = wasm_bindgen_cli_support::Bindgen::new()
        .input_path(input)
        .web(true)
        .and_then(|bindgen| {
            bindgen
                .typescript(true)
                .remove_name_section(true)
                .remove_producers_section(true)
                .generate(output)
        });
    if let Err(error) = result {
        eprintln!("{input}: {error:#}");
        std::process::exit(1);
    }
}
