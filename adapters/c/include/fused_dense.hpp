// fused-dense for C++17: owners of the handles of fused_dense.h, and exceptions in the place of its statuses.
// License: MIT OR Apache-2.0.
//
// All that the header has no word for is reached through get(), with check() around the call.

#ifndef FUSED_DENSE_HPP
#define FUSED_DENSE_HPP

#include "fused_dense.h"

#include <cstddef>
#include <cstdint>
#include <exception>
#include <limits>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace fused_dense {

/// A call that failed: its status, and the reason in words.
class error : public std::runtime_error {
public:
    explicit error(fd_status status) : std::runtime_error(fd_last_error()), status_(status) {}
    fd_status status() const noexcept { return status_; }

private:
    fd_status status_;
};

/// Throws where a status is not FD_OK.
inline void check(fd_status status) {
    if (status != FD_OK) throw error(status);
}

namespace detail {
struct deleter {
    void operator()(fd_team *team) const noexcept { fd_team_free(team); }
    void operator()(fd_dense *layer) const noexcept { fd_dense_free(layer); }
    void operator()(fd_packed *packed) const noexcept { fd_packed_free(packed); }
    void operator()(fd_network *network) const noexcept { fd_network_free(network); }
};

template <class H> using owner = std::unique_ptr<H, deleter>;

/// Owns what `make` writes to the place that it gets.
template <class H, class F> owner<H> own(F &&make) {
    H *handle = nullptr;
    check(make(&handle));
    return owner<H>(handle);
}

template <class T> constexpr fd_class_type class_type() {
    static_assert(std::is_integral_v<T> && (std::is_unsigned_v<T> || sizeof(T) >= 4), "classes are u8 to u64, i32 or i64");
    if constexpr (std::is_unsigned_v<T>) {
        return sizeof(T) == 1   ? FD_CLASS_TYPE_U8
               : sizeof(T) == 2 ? FD_CLASS_TYPE_U16
               : sizeof(T) == 4 ? FD_CLASS_TYPE_U32
                                : FD_CLASS_TYPE_U64;
    } else {
        return sizeof(T) == 4 ? FD_CLASS_TYPE_I32 : FD_CLASS_TYPE_I64;
    }
}
} // namespace detail

/// Rows one behind the other, to read. The data stay the caller's.
inline fd_matrix rows(const std::vector<float> &data, std::size_t cols) {
    return fd_rows(data.data(), cols == 0 ? 0 : data.size() / cols, cols);
}

/// Rows one behind the other, to write. The data stay the caller's.
inline fd_matrix_mut rows(std::vector<float> &data, std::size_t cols) {
    return fd_rows_mut(data.data(), cols == 0 ? 0 : data.size() / cols, cols);
}

/// A value for each output. The data stay the caller's.
inline fd_targets values(const std::vector<float> &y) {
    fd_targets targets = FD_TARGETS_DEFAULTS;
    targets.values = y.data();
    targets.value_count = y.size();
    return targets;
}

/// A class for each sample. The data stay the caller's.
template <class T> fd_targets classes(const std::vector<T> &labels) {
    fd_targets targets = FD_TARGETS_DEFAULTS;
    targets.classes = labels.data();
    targets.class_count = labels.size();
    targets.class_type = detail::class_type<T>();
    return targets;
}

/// Threads that share the work of layers and networks.
class team {
public:
    explicit team(std::size_t threads)
        : handle_(detail::own<fd_team>([&](fd_team **place) { return fd_team_new(threads, place); })) {}
    fd_team *get() const noexcept { return handle_.get(); }

private:
    detail::owner<fd_team> handle_;
};

/// A layer. A copy has memory of its own.
class dense {
public:
    explicit dense(const fd_dense_options &options)
        : handle_(detail::own<fd_dense>([&](fd_dense **place) { return fd_dense_new(&options, place); })) {}
    dense(const dense &other)
        : handle_(detail::own<fd_dense>([&](fd_dense **place) { return fd_dense_clone(other.get(), place); })) {}
    dense(dense &&) noexcept = default;
    dense &operator=(dense other) noexcept {
        handle_.swap(other.handle_);
        return *this;
    }

    fd_dense_info info() const {
        fd_dense_info info{};
        info.size = sizeof info;
        check(fd_dense_get_info(get(), &info));
        return info;
    }
    /// a = g(x * w^T + b); `b` and `z` may be null.
    void forward(const fd_matrix &x, const fd_matrix &w, const fd_matrix *b, const fd_matrix_mut &a,
                 const fd_matrix_mut *z = nullptr) const {
        check(fd_dense_forward(get(), &x, &w, b, &a, z));
    }
    void backward(const fd_backward &call) const { check(fd_dense_backward(get(), &call)); }
    void update(const fd_update &call) const { check(fd_dense_update(get(), &call)); }
    fd_dense *get() const noexcept { return handle_.get(); }

private:
    detail::owner<fd_dense> handle_;
};

/// Weights that are packed once for many calls.
class packed {
public:
    packed(const dense &layer, const fd_matrix &w)
        : handle_(detail::own<fd_packed>([&](fd_packed **place) { return fd_packed_new(layer.get(), &w, place); })) {}
    void repack(const fd_matrix &w) { check(fd_packed_repack(get(), &w)); }
    fd_packed *get() const noexcept { return handle_.get(); }

private:
    detail::owner<fd_packed> handle_;
};

/// A network. A copy has parameters and memory of its own.
class network {
public:
    explicit network(const fd_network_options &options)
        : handle_(detail::own<fd_network>([&](fd_network **place) { return fd_network_new(&options, place); })) {}
    network(const network &other)
        : handle_(detail::own<fd_network>([&](fd_network **place) { return fd_network_clone(other.get(), place); })) {}
    network(network &&) noexcept = default;
    network &operator=(network other) noexcept {
        handle_.swap(other.handle_);
        return *this;
    }

    fd_network_info info() const {
        fd_network_info info{};
        info.size = sizeof info;
        check(fd_network_get_info(get(), &info));
        return info;
    }
    /// One step of the optimiser: the cost before it.
    double step(const fd_matrix &x, const fd_targets &targets) {
        double cost = 0.0;
        check(fd_network_step(get(), &x, &targets, &cost));
        return cost;
    }
    double gradients(const fd_matrix &x, const fd_targets &targets) {
        double cost = 0.0;
        check(fd_network_gradients(get(), &x, &targets, &cost));
        return cost;
    }
    /// A step down a cost of one's own, `double cost(const float *output, float *gradient, size_t batch, size_t outputs)`. An
    /// exception that it throws comes out of this call, and no parameter was changed, unless the network is unguarded.
    template <class F> double step_own(const fd_matrix &x, fd_own_cost by, F &&cost) {
        using function = std::remove_reference_t<F>;
        struct call {
            function *cost;
            std::exception_ptr thrown;
        } own{std::addressof(cost), nullptr};
        // No exception passes through the library: where one is thrown the step is refused for a cost that is NaN.
        const fd_cost_fn run = [](void *user, const float *output, float *gradient, std::size_t batch,
                                  std::size_t outputs) noexcept {
            call *own = static_cast<call *>(user);
            try {
                return static_cast<double>((*own->cost)(output, gradient, batch, outputs));
            } catch (...) {
                own->thrown = std::current_exception();
                return std::numeric_limits<double>::quiet_NaN();
            }
        };
        double found = 0.0;
        const fd_status status = fd_network_step_own(get(), &x, by, run, &own, &found);
        if (own.thrown) std::rethrow_exception(own.thrown);
        check(status);
        return found;
    }
    std::vector<float> predict(const fd_matrix &x) const {
        std::vector<float> a(x.rows * info().outputs);
        check(fd_network_predict(get(), &x, a.data(), a.size()));
        return a;
    }
    std::vector<std::uint32_t> predict_classes(const fd_matrix &x) const {
        std::vector<std::uint32_t> found(x.rows);
        check(fd_network_predict_classes(get(), &x, found.data(), found.size()));
        return found;
    }
    fd_evaluation evaluate(const fd_matrix &x, const fd_targets &targets) const {
        fd_evaluation found{};
        found.size = sizeof found;
        check(fd_network_evaluate(get(), &x, &targets, &found));
        return found;
    }
    std::vector<float> array(std::size_t layer, fd_array array) const {
        fd_dense_info info{};
        info.size = sizeof info;
        check(fd_network_get_layer_info(get(), layer, &info));
        // Arrays beside the weights and beside the bias alternate.
        std::vector<float> found(array % 2 == 0 ? info.inputs * info.outputs : info.outputs);
        check(fd_network_get_array(get(), layer, array, found.data(), found.size()));
        return found;
    }
    void save(const std::string &path) const { check(fd_network_save(get(), path.c_str())); }
    void load(const std::string &path) { check(fd_network_load(get(), path.c_str())); }
    void save_checkpoint(const std::string &path) const { check(fd_network_save_checkpoint(get(), path.c_str())); }
    void load_checkpoint(const std::string &path) { check(fd_network_load_checkpoint(get(), path.c_str())); }
    fd_network *get() const noexcept { return handle_.get(); }

private:
    detail::owner<fd_network> handle_;
};

} // namespace fused_dense

#endif
